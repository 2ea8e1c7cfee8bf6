"""What a photo would go through, and what would be stored of it, without an index."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from miradouro.adapters.photo_store import FileStore, file_uri
from miradouro.bundles.labels import LabelTable
from miradouro.core.decode import DecodeLimits
from miradouro.core.document import Document
from miradouro.core.errors import BadPhoto, Internal, InvalidArgument, MiradouroError, NotFound
from miradouro.core.event import PhotoEvent
from miradouro.core.pipeline import ingest
from miradouro.core.ports import Embedder, PhotoReader
from miradouro.core.sidecar import MAX_SIDECAR_BYTES, Sidecar, bad_sidecar, event_of_photo, parse_sidecar
from miradouro.ingest.collection_upkeep import spaces_for_new
from miradouro.processors.guarded_step import StepRun
from miradouro.processors.pipeline_file import Pipeline
from miradouro.processors.plugin import Context
from miradouro.runtime.regular_file import read_regular


@dataclass(frozen=True)
class Simulation:
    """The runs of the steps in the order in which they ended, and the document, or the error that there would be in its place."""

    steps: tuple[StepRun, ...]
    document: Document | None
    error: MiradouroError | None = None

    @property
    def reason(self) -> str:
        """The error's short name, for programs; empty without one."""
        if self.error is None:
            return ""
        return self.error.reason if isinstance(self.error, BadPhoto) else self.error.status.lower()

    @property
    def goes_to(self) -> str:
        """What would happen to the photo: it is stored, is among the failures, is tried again, or stops the run."""
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

    `sidecar` is the file STEM.json beside it when None, if there is one. Raises nothing that a photo could cause.
    """
    runs: list[StepRun] = []
    try:
        event = _event(path, sidecar, collection)
        offered = [space for bundle in embedder.describe() for space in bundle.spaces]
        store = FileStore([path.absolute().parent])
        context = Context(embedder, embedder.describe, store, labels, reader, limits, is_rehearsal=True)
        processors = pipeline.build(context, observe=runs.append)
        document = ingest(event, processors=processors, spaces=spaces_for_new(spaces, offered))
    except MiradouroError as exc:
        return Simulation(tuple(runs), None, exc)
    except Exception as exc:  # noqa: BLE001 # a fault of a processor: one line for whoever writes one
        return Simulation(tuple(runs), None, Internal(f"a processor failed: {type(exc).__name__}: {exc}"))
    return Simulation(tuple(runs), document)


def _event(path: Path, sidecar: Path | None, collection: str) -> PhotoEvent:
    beside = path.with_suffix(".json")
    chosen = sidecar or (beside if beside.is_file() and beside != path else None)
    told = _sidecar(chosen) if chosen else Sidecar()
    return event_of_photo(
        told,
        event_id="simulated",
        collection=collection,
        photo_id=path.name,
        version=told.version or 1,
        uri=file_uri(os.path.abspath(path)),
    )


def _sidecar(path: Path) -> Sidecar:
    try:
        return parse_sidecar(read_regular(path, MAX_SIDECAR_BYTES + 1), name=path.name)
    except OSError as exc:
        raise bad_sidecar(path.name, f"it can't be read: {exc.strerror}") from exc
