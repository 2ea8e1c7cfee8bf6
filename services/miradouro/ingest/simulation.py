"""Simulates the pipeline for one photo, without an index: the steps and the document."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.adapters.folder.sidecars import read_contents
from miradouro.adapters.folder.walk import files_of
from miradouro.adapters.photo_store import FileStore, file_uri
from miradouro.bundles.labels import LabelTable
from miradouro.core.document import Document
from miradouro.core.errors import BadPhoto, Internal, InvalidArgument, MiradouroError, NotFound
from miradouro.core.event import PhotoEvent
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.pipeline import ingest
from miradouro.core.ports import Embedder, PhotoReader
from miradouro.core.sidecars.beside import SidecarFault, event_of_photo, read_beside
from miradouro.core.sidecars.pairing import SidecarName, role_of
from miradouro.core.spaces import choose_spaces
from miradouro.processors.guarded_step import StepRun
from miradouro.processors.pipeline_file import Pipeline
from miradouro.processors.plugin import Context


@dataclass(frozen=True)
class Simulation:
    """The step runs in the order of their ends, the document or the error, and the faults of sidecars."""

    steps: tuple[StepRun, ...]
    document: Document | None
    error: MiradouroError | None = None
    sidecars: tuple[SidecarFault, ...] = ()

    @property
    def reason(self) -> str:
        """The error's short name, for programs; empty without one."""
        if self.error is None:
            return ""
        return self.error.reason if isinstance(self.error, BadPhoto) else self.error.status.lower()

    @property
    def goes_to(self) -> str:
        """The result in a real run: the photo is stored, fails, is retried, or stops the run."""
        if self.error is None:
            return "the index"
        if isinstance(self.error, InvalidArgument | NotFound | Internal):
            return "the failures"
        return "another try" if self.error.retriable else "nowhere: the run stops"


def simulate(
    path: Path,
    *,
    sidecar: Path | None,
    collection: str,
    pipeline: Pipeline,
    embedder: Embedder,
    labels: LabelTable,
    reader: PhotoReader,
    limits: DecodeLimits,
    spaces: Sequence[str] = (),
) -> Simulation:
    """Runs the file at `path` through the pipeline, as the photo of a folder in a new collection.

    `sidecar`, JSON or XMP, replaces the sidecars beside the photo. Errors that a photo causes are results, not exceptions.
    """
    runs: list[StepRun] = []
    faults: tuple[SidecarFault, ...] = ()
    try:
        event = _event(path, sidecar, collection, reader)
        faults = event.beside.faults if event.beside else ()
        offered = [space for bundle in embedder.describe() for space in bundle.spaces]
        store = FileStore([path.absolute().parent])
        context = Context(embedder, embedder.describe, store, labels, reader, limits, is_rehearsal=True)
        processors = pipeline.build(context, observe=runs.append)
        document = ingest(event, processors=processors, spaces=choose_spaces(spaces, offered, field="MIRADOURO_SPACES"))
    except MiradouroError as exc:
        return Simulation(tuple(runs), None, exc, faults)
    except Exception as exc:  # noqa: BLE001 # a fault of a processor: one line for its author
        return Simulation(tuple(runs), None, Internal(f"a processor failed: {type(exc).__name__}: {exc}"), faults)
    return Simulation(tuple(runs), document, sidecars=faults)


def _event(path: Path, sidecar: Path | None, collection: str, reader: PhotoReader) -> PhotoEvent:
    def read_xmp(data: bytes) -> PhotoMetadata:
        return reader.xmp_sidecar(data)

    sidecars = [SidecarName(sidecar.name, role_of(sidecar.name))] if sidecar else _beside(path)
    beside = read_beside(read_contents(str(sidecar or path), sidecars, prefix=""), photo_name=path.name, read_xmp=read_xmp)
    return event_of_photo(
        beside,
        event_id="simulated",
        collection=collection,
        photo_id=path.name,
        version=beside.own.version or 1,
        uri=file_uri(os.path.abspath(path)),
    )


def _beside(path: Path) -> Sequence[SidecarName]:
    [file] = files_of(os.path.abspath(path.parent), [photo_id_of(path.name)])
    return file.sidecars
