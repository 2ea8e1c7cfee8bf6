"""A whole ingest service on small real parts: the embedded index, two tiny networks, and folders made for the test."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.keyword_heads import KeywordHeads
from miradouro.bundles.labels import LabelRow, LabelTable
from miradouro.core.document import Failure
from miradouro.core.index_engine import Index
from miradouro.core.ports import Embedder, NothingYet, SourceItem
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.ingest.consumer import consume
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.outcome import Outcome
from miradouro.ingest.pace import Pace
from miradouro.ingest.service import IngestService
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import load_pipeline
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import (
    FolderReport,
    IndexFolderRequest,
    IndexFolderResponse,
    PutEventsRequest,
    PutEventsResponse,
)
from miradouro.v1.photo_event_pb2 import PhotoEvent
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.reading import READER
from tests.tiny_bundle import LABELS, GatedNetworks, tiny_bundles

PACE = Pace(retry_s=5.0)
_PARENTS = {"cat": ("animal",), "dog": ("hound", "animal"), "elkhound": ("hound", "animal"), "teapot": ("pot",), "viaduct": ()}
LABEL_TABLE = LabelTable(tuple(LabelRow(f"n{i}", label, (label,), _PARENTS[label]) for i, label in enumerate(LABELS)), {})


@dataclass
class IngestFixture:
    """The service, its index, its embedder, and the networks behind that."""

    service: IngestService
    index: SqliteIndex
    embedder: Batcher
    networks: GatedNetworks
    data: Path
    registry: CollectorRegistry

    def index_folder(
        self, folder: Path, *, prune: bool = False, verify: bool = False, collection: str = "", call: Call | None = None
    ) -> FolderReport:
        """The report of one run."""
        return self.stream(folder, prune=prune, verify=verify, collection=collection, call=call)[-1].report

    def stream(
        self, folder: Path, *, prune: bool = False, verify: bool = False, collection: str = "", call: Call | None = None
    ) -> list[IndexFolderResponse]:
        """Every message of one run."""
        request = IndexFolderRequest(path=str(folder), collection=collection, prune=prune, verify=verify)
        return list(self.service.IndexFolder(request, call or Call()))

    def consume(self, items: Iterable[SourceItem | NothingYet], call: Call) -> Iterator[Outcome]:
        """The outcomes of the items of a log."""
        return consume(items, call, runner=self.service.runner, runs=self.service.runs)

    def put(self, *events: PhotoEvent, call: Call | None = None) -> PutEventsResponse:
        """The answer to one batch."""
        return self.service.PutEvents(PutEventsRequest(events=events), call or Call())

    def failures(self) -> dict[str, Failure]:
        """The dead letters by photo id."""
        return {failure.photo_id: failure for failure in self.index.list()[0]}

    def photos(self, collection: str = "photos") -> dict[str, int]:
        """The versions of the live photos by photo id."""
        return {state.photo_id: state.version for state in self.index.origins(collection) if not state.deleted}


@contextmanager
def open_ingest(
    folder: Path,
    *,
    networks_class: type[GatedNetworks] = GatedNetworks,
    photos: PhotoStoreSettings | None = None,
    index: Index | None = None,
    embedder: Embedder | None = None,
    pace: Pace = PACE,
    **settings: object,
) -> Iterator[IngestFixture]:
    """The service over a data folder and models made below `folder`; `settings` are those of ingest.

    Photos go into `index`, by default that of the data folder; failures always go into the data folder. `embedder` replaces the
    ingest's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    networks = networks_class(tiny_bundles(folder / "models"))
    batcher = Batcher(networks, metrics=EmbeddingMetrics(CollectorRegistry()))
    with capture_logs(), SqliteIndex.open(folder / "data", writer=True) as embedded:  # rendering tracebacks takes seconds
        registry = CollectorRegistry()
        chosen = IngestSettings(**settings)  # type: ignore[arg-type]  # checked by pydantic
        service = IngestService(
            index=index or embedded,
            dead_letters=embedded,
            embedder=embedder or batcher,
            reader=READER,
            photo_store=PhotoStores(photos or PhotoStoreSettings()),
            folders=photos.photo_root_folders if photos else [],
            labels=LABEL_TABLE,
            pipeline=load_pipeline(chosen.pipeline),
            settings=chosen,
            keywords=KeywordHeads(folder / "data" / "keywords"),
            pace=pace,
            spaces=chosen.space_names,
            excluded=[folder / "data"],
            metrics=IngestMetrics(registry),
        )
        try:
            yield IngestFixture(service, embedded, batcher, networks, folder / "data", registry)
        finally:
            networks.gate.set()
            service.close()
            batcher.stop()


@contextmanager
def not_root() -> Iterator[None]:
    """Drops the rights of root inside the block, so that permissions count for it too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def age(*paths: Path, seconds: int = 10) -> None:
    """Makes files look as if they had last changed `seconds` earlier than they say."""
    for path in paths:
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - seconds * 10**9))


def cancelled_call() -> Call:
    """A call that its caller has cancelled."""
    event = threading.Event()
    event.set()
    return Call(cancelled=event)
