"""Original photos in S3 and Google Cloud Storage, through fsspec's s3fs and gcsfs.

An event names only bucket and key. The host comes from the operator's settings or is the cloud's own, so it may have a private
address: MinIO in the cluster needs no further setting than its endpoint.
"""

import asyncio
import errno
import importlib
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import fsspec.asyn

from miradouro.adapters.photo_store.allowed import PhotoLocation, allowed_prefixes, is_allowed, location_of, named
from miradouro.adapters.photo_store.fetch_limits import FETCH_LIMITS, FetchLimits
from miradouro.core.errors import (
    BadPhoto,
    ConfigurationError,
    InvalidArgument,
    MiradouroError,
    OriginalUnavailable,
    Unavailable,
)
from miradouro.core.redaction import public_uri

T = TypeVar("T")
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
# Errors of the credentials, not of a photo. They affect every photo and are retriable: credentials may be renewed meanwhile.
_WRONG_KEYS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "NoCredentials",
    "Invalid Credentials",
)
_CONNECTIONS = 64


class ObjectStore:
    """PhotoStore over the buckets of one `scheme`, s3 or gs, for URIs below `sources`.

    Inline photos are written below `kept_in`, which becomes one of the sources. `endpoint` is a URL, empty for the cloud's own.
    For gs the library reads the endpoint from STORAGE_EMULATOR_HOST, as Google's clients do. Credentials come from the cloud's
    usual sources (environment, profile, role). Raises ConfigurationError (a missing package).
    """

    def __init__(
        self,
        scheme: str,
        sources: Sequence[PhotoLocation],
        *,
        endpoint: str = "",
        kept_in: PhotoLocation | None = None,
        limits: FetchLimits = FETCH_LIMITS,
    ) -> None:
        self._scheme, self._total_s = scheme, limits.total_s
        self._kept_in = kept_in if kept_in and kept_in.scheme == scheme else None
        locations = (*sources, *([kept_in] if kept_in else []))
        self._sources = [one for one in dict.fromkeys(locations) if one.scheme == scheme]
        self._files, self._errors = _opened(scheme, endpoint, limits)

    def read(self, uri: str, *, limit_bytes: int) -> bytes:
        """The bytes of an object; see `core.ports.PhotoStore`."""
        location = location_of(uri)
        if not is_allowed(location, self._sources):
            prefixes = allowed_prefixes(self._sources)
            raise InvalidArgument("uri", f"{named(uri)} is not below an allowed prefix; allowed: {prefixes}")
        try:
            data = self._waited_for(self._read(location.host + location.path, limit_bytes + 1))
        except self._errors as exc:
            raise _translated(exc, uri) from exc
        if data is None:
            raise BadPhoto("unreadable", f"{named(uri)} is a folder")
        if len(data) > limit_bytes:
            raise BadPhoto("too_many_bytes", f"{named(uri)} has more than {limit_bytes:,} bytes; scale the photo down")
        return data

    def keep(self, data: bytes, *, sha256: str) -> str:
        """Writes inline bytes; see `core.ports.PhotoStore`."""
        if self._kept_in is None:
            return ""
        path = f"{self._kept_in.host}{self._kept_in.path.rstrip('/')}/{sha256[:2]}/{sha256}"
        try:
            self._waited_for(self._files._pipe_file(path, data))  # noqa: SLF001 # fsspec names coroutines so
        except self._errors as exc:
            raise Unavailable(
                f"{self._scheme}://{path} can't be written: {_one_line(exc)}; correct MIRADOURO_INLINE_STORE or the rights to it"
            ) from exc
        return f"{self._scheme}://{path}"

    async def _read(self, path: str, most: int) -> bytes | None:
        """At most `most` bytes of an object; None for a folder. One request, two when the object is missing or empty."""
        try:
            if not path.endswith("/"):
                return bytes(await self._files._cat_file(path, start=0, end=most))  # noqa: SLF001 # fsspec names coroutines so
        except self._errors as exc:
            if not (isinstance(exc, FileNotFoundError) or _is_empty_range(exc)):
                raise
        found = await self._files._info(path)  # noqa: SLF001 # fsspec names coroutines so
        if found["type"] == "directory":
            return None
        if found["size"]:
            raise OSError(errno.EAGAIN, "it was written while it was read")
        return b""

    def _waited_for(self, call: Coroutine[Any, Any, T]) -> T:
        async def in_time() -> T:
            return await asyncio.wait_for(call, self._total_s)

        done: T = fsspec.asyn.sync(self._files.loop, in_time)
        return done


def _opened(scheme: str, endpoint: str, limits: FetchLimits) -> tuple[Any, tuple[type[Exception], ...]]:
    """The fsspec file system, without caches, and the error classes that it raises for network and cloud failures.

    The runner owns the retries, so the client's own are kept to a minimum.
    """
    package = _PACKAGES[scheme]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"{scheme}:// needs the package {package}, which is not installed: install miradouro[{scheme}], "
            f"or take {scheme}:// out of MIRADOURO_PHOTO_SOURCES and MIRADOURO_INLINE_STORE"
        ) from exc
    aiohttp = importlib.import_module("aiohttp")
    if scheme == "gs":
        # `gcsfs.core`: the package's top-level class first requests the bucket's kind, with other credentials and clients.
        files = importlib.import_module("gcsfs.core").GCSFileSystem(skip_instance_cache=True, use_listings_cache=False)
        auth, retry = importlib.import_module("google.auth.exceptions"), importlib.import_module("gcsfs.retry")
        return files, (OSError, aiohttp.ClientError, auth.GoogleAuthError, retry.HttpError)
    files = importlib.import_module("s3fs").S3FileSystem(
        endpoint_url=endpoint or None,
        config_kwargs={
            "connect_timeout": limits.connect_s,
            "read_timeout": limits.total_s,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"total_max_attempts": 2, "mode": "standard"},
        },
        skip_instance_cache=True,
        use_listings_cache=False,
    )
    files.retries = 1
    boto = importlib.import_module("botocore.exceptions")
    return files, (OSError, aiohttp.ClientError, boto.BotoCoreError, boto.ClientError)


def _translated(exc: Exception, uri: str) -> MiradouroError:
    where, text = named(uri), _one_line(exc)
    shown = text if public_uri(uri) == uri else type(exc).__name__  # the text contains the key with its secret query
    if isinstance(exc, FileNotFoundError):
        return BadPhoto("vanished", f"{where} is not there (any more)")
    if wrong := [sign for sign in _WRONG_KEYS if sign in text]:
        return Unavailable(f"{where} can't be read with the keys of this process, {wrong[0]}: {shown}; correct or renew them")
    if isinstance(exc, PermissionError) or "Forbidden" in text or getattr(exc, "code", None) in {401, 403}:
        return BadPhoto("unreadable", f"{where} can't be read: {shown}")
    return OriginalUnavailable(f"{where} can't be read now: {shown}")


def _is_empty_range(exc: Exception) -> bool:
    """Whether the error reports an unsatisfiable range: the object is empty."""
    return getattr(exc, "errno", None) == errno.EINVAL or getattr(exc, "code", None) == 416


def _one_line(exc: Exception) -> str:
    """The error and its cause as one line; the cause contains S3's error code."""
    words = [f"{type(one).__name__}: {str(one) or 'no answer in time'}" for one in (exc, exc.__cause__) if one is not None]
    return " ".join("; ".join(words).split())[:500]
