"""A whole Search over gRPC on the embedded index, documents and all: photos like one in the index, with and without a filter.

`python -m benchmarks.bench_search` or as a script prints the rows; MIRADOURO_BENCH_VECTORS changes the sizes.
"""

import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "services")) if path not in sys.path]

from miradouro.adapters.sqlite_index import SqliteIndex  # noqa: E402 - the paths above make this runnable as a script
from miradouro.core.document import Document  # noqa: E402 - as above
from miradouro.query.service import SearchService  # noqa: E402 - as above
from miradouro.runtime import logs  # noqa: E402 - as above
from miradouro.runtime.grpc_client import open_channel  # noqa: E402 - as above
from miradouro.runtime.grpc_server import Service, running  # noqa: E402 - as above
from miradouro.runtime.security import OPEN_TO_ALL  # noqa: E402 - as above
from miradouro.runtime.settings import LogSettings  # noqa: E402 - as above
from miradouro.v1 import search_service_pb2 as pb  # noqa: E402 - as above
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub  # noqa: E402 - as above

from benchmarks import index_photos  # noqa: E402 - as above
from benchmarks.bench_index import row  # noqa: E402 - as above
from benchmarks.bench_vectors import (  # noqa: E402 - as above
    BATCH,
    COLLECTION,
    FILTERED_MS,
    FILTERS,
    MOST_FILTERED_RATIO,
    SIZES,
    WHOLE,
    clustered,
    in_turns,
)
from tests.reading import READER  # noqa: E402 - as above

QUESTIONS, TIMEOUT_S = 10, 60.0


class NoEmbedder:
    """Photos like one in the index are found by vectors that are there."""

    def describe(self) -> tuple[()]:
        return ()


def photos(start: int, count: int) -> list[Document]:
    """Photos number `start` and on, with a caption, 20 tags and so on, that pass FILTERS by their numbers."""
    return [
        replace(
            photo,
            photo_id=f"{number:07}",
            attributes={name: str(number % parts) for name, parts in FILTERS.values()},
            vectors={WHOLE.name: vector[None]},
        )
        for number, photo, vector in zip(
            itertools.count(start), index_photos.batch(start, count, [WHOLE]), clustered(count, start + 1), strict=False
        )
    ]


def asking(stub: SearchServiceStub) -> Callable[..., None]:
    def ask(photo_id: str, attribute: str = "", *values: str) -> None:
        filters = [pb.Filter(attribute=pb.AttributeFilter(name=attribute, values=values))] if attribute else []
        request = pb.SearchRequest(collection=COLLECTION, like=pb.LikeQuery(photo_id=photo_id), filters=filters)
        assert len(stub.Search(request, timeout=TIMEOUT_S).hits) == 10

    return ask


def filtered(size: int, ask: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Every filter, first after a write and then repeated."""
    asked = [f"{number:07}" for number in range(0, size, size // QUESTIONS)]
    for share, (name, _) in FILTERS.items():
        numbers = itertools.count()
        calls = {
            "all": ask,
            "for the first time": lambda photo, one=name, number=numbers: ask(photo, one, "1", f"in no photo {next(number)}"),
            "again": lambda photo, one=name: ask(photo, one, "1"),
        }
        taken = in_turns(calls, asked)
        limit = max(MOST_FILTERED_RATIO * taken["all"], FILTERED_MS)
        for when in ("for the first time", "again"):
            yield row(
                f"Search over gRPC for 10 photos like one, a filter that {share} pass, asked {when}, {size:,} photos; "
                "peer: without the filter",
                taken[when], taken["all"], "ms", goal=f"at most {MOST_FILTERED_RATIO} x or {FILTERED_MS:g} ms", better="lower",
                holds=taken[when] <= limit, cause="the photos that pass are read from the database and counted",
            )  # fmt: skip


def rows() -> Iterator[dict[str, Any]]:
    logs.configure(LogSettings())  # as the service's process has them
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder, SqliteIndex.open(Path(folder) / "data", writer=True) as index:
            index.ensure_collection(COLLECTION, spaces=[WHOLE])
            for start in range(0, size, BATCH):
                index.write(photos(start, min(BATCH, size - start)))
            index.settle()
            handlers = SearchService(
                store=index, embedder=NoEmbedder(), reader=READER, canonical=str, default_space=WHOLE.name, page_key=bytes(32)
            )
            service = Service(pb.DESCRIPTOR.services_by_name["SearchService"], handlers)
            with running([service], security=OPEN_TO_ALL) as server, open_channel(server.target) as channel:
                yield from filtered(size, asking(SearchServiceStub(channel)))


if __name__ == "__main__":
    for one in rows():
        print(f"{'ok  ' if one['holds'] else 'MISS'} {one['name']}: {one['ours']:.3g}, peer {one['peer']:.3g} ms", flush=True)
