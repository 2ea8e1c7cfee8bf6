"""The PhotoReader of every process. Its jobs run in the pool, directly or through the journal."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from miradouro.adapters.photo_reader.jobs import Job, decode_job, metadata_job, thumbnail_job, xmp_sidecar_job
from miradouro.core.decode import Decoded
from miradouro.core.embedding import Priority
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.spaces import Geometry, Region

T = TypeVar("T")


class Run(Protocol):
    """Runs one job; see `PhotoReader` for the parameters and the errors."""

    def __call__(self, job: Job[T], *, priority: Priority, timeout_s: float | None, key: str) -> T:
        """The answer to the job."""
        ...


class JobReader:
    """PhotoReader: every call is a job for `run`."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def decode(
        self,
        data: bytes,
        geometries: Iterable[Geometry],
        *,
        limits: DecodeLimits = DEFAULT_LIMITS,
        region: Region | None = None,
        with_metadata: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        key: str = "",
    ) -> Decoded:
        """PhotoReader.decode."""
        job = decode_job(data, geometries, limits=limits, region=region, with_metadata=with_metadata)
        return self._run(job, priority=priority, timeout_s=timeout_s, key=key)

    def metadata(
        self, data: bytes, *, priority: Priority = Priority.INTERACTIVE, timeout_s: float | None = None, key: str = ""
    ) -> PhotoMetadata:
        """PhotoReader.metadata."""
        return self._run(metadata_job(data), priority=priority, timeout_s=timeout_s, key=key)

    def xmp_sidecar(
        self, data: bytes, *, priority: Priority = Priority.INTERACTIVE, timeout_s: float | None = None, key: str = ""
    ) -> PhotoMetadata:
        """PhotoReader.xmp_sidecar."""
        return self._run(xmp_sidecar_job(data), priority=priority, timeout_s=timeout_s, key=key)

    def thumbnail(
        self,
        data: bytes,
        *,
        width: int,
        height: int,
        longest_side: int,
        limits: DecodeLimits = DEFAULT_LIMITS,
        file_format: str = "jpeg",
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        key: str = "",
    ) -> bytes:
        """PhotoReader.thumbnail."""
        job = thumbnail_job(data, width=width, height=height, longest_side=longest_side, limits=limits, file_format=file_format)
        return self._run(job, priority=priority, timeout_s=timeout_s, key=key)
