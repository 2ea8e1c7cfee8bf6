"""Indexing into OpenSearch and asking it, against opensearch-py with the same documents and the same bodies.

`python -m benchmarks.bench_opensearch` prints the rows. Uses the OpenSearch of MIRADOURO_TEST_OPENSEARCH, or one of its own;
MIRADOURO_BENCH_DOCUMENTS documents.
"""

import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings, Tuning
from miradouro.adapters.opensearch.documents import id_of, source_of
from miradouro.adapters.opensearch.mapping import index_body
from miradouro.adapters.opensearch.question import plan
from miradouro.core.document import Document, Tag, TagKind, TakenAt
from miradouro.core.query import (
    AttributeIn,
    Clause,
    Condition,
    Facet,
    FacetField,
    IndexQuery,
    KeywordClause,
    TextClause,
    VectorClause,
)
from miradouro.core.spaces import Preset, Space
from miradouro.development.engines import start_opensearch
from opensearchpy import OpenSearch

from benchmarks import events_peers
from benchmarks.bench_embedding import Row, row

DOCUMENTS = int(os.environ.get("MIRADOURO_BENCH_DOCUMENTS", "20000"))
PART = 1_000  # documents of one turn
COMMIT = 32  # as ingest commits them
QUERIES = 60
INDEXING_GOAL = 0.9
ADDED_MS_GOAL = 3.0
COLLECTION = "photos"
FEATURES = Space("a", "features", "", 1_280, "a" * 64, Preset.STANDARD, True)
POOL5 = Space("b", "pool5", "", 512, "b" * 64, Preset.STANDARD, True)
SPACES = (FEATURES, POOL5)
WORDS = ("view", "old", "harbour", "boats", "near", "lighthouse", "clouds", "summer", "light")


def rows() -> Iterator[Row]:
    """The rows of `make bench`."""
    with ExitStack() as stack:
        url = os.environ.get("MIRADOURO_TEST_OPENSEARCH")
        if not url:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(start_opensearch(folder)).url
        settings = OpenSearchSettings(opensearch_url=url, opensearch_prefix=f"bench{uuid.uuid4().hex}")
        client = OpenSearch([url], timeout=60, pool_maxsize=32)
        stack.callback(client.close)
        index = stack.enter_context(OpenSearchIndex.open(settings, tuning=Tuning(timeout_s=60)))
        index.ensure_collection(COLLECTION, spaces=SPACES)
        peer = f"{settings.opensearch_prefix}.peer"
        stack.callback(client.indices.delete, index=f"{settings.opensearch_prefix}.*")
        client.indices.create(index=peer, body=index_body(SPACES, root="", settings=settings))
        yield _indexing(index, client, peer)
        yield from _questions(index, settings, client)


def documents(start: int, count: int) -> list[Document]:
    """Photos number `start` and on, seeded."""
    draw = np.random.default_rng(start)
    vectors = {space.name: draw.standard_normal((count, 1, space.dimension), dtype=np.float32) for space in SPACES}
    for drawn in vectors.values():
        drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    return [
        Document(
            COLLECTION,
            f"album {number % 50}/photo {number:06}.jpg",
            1,
            title=f"photo {number}",
            caption=" ".join(draw.choice(WORDS, 10)),
            tags=tuple(Tag(f"label {(number * 7 + k * k * 31) % 1_000}", 0.5 / (k + 1), TagKind.LABEL) for k in range(10)),
            owner=f"owner {number % 10}",
            attributes={"camera": f"camera {number % 20}"},
            taken_at=TakenAt(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=number), None),
            vectors={space.name: vectors[space.name][number - start] for space in SPACES},
            provenances={space.name: space.provenance for space in SPACES},
        )
        for number in range(start, start + count)
    ]


def _indexing(index: OpenSearchIndex, client: OpenSearch, peer: str) -> Row:
    by_name = {space.name: space for space in SPACES}
    rates: tuple[list[float], list[float]] = ([], [])
    for start in range(0, DOCUMENTS, PART):
        part = documents(start, min(PART, DOCUMENTS - start))
        plain = [(id_of(COLLECTION, one.photo_id), _plain(source_of(one, by_name))) for one in part]

        def ours(part: Sequence[Document] = part) -> None:
            for at in range(0, len(part), COMMIT):
                index.write(part[at : at + COMMIT])

        turns = (ours, lambda plain=plain: events_peers.bulk(client, peer, plain))
        for rate, turn in zip(rates, turns, strict=True):
            started = time.perf_counter()
            turn()
            rate.append(len(part) / (time.perf_counter() - started))
    return row(
        f"indexing {DOCUMENTS:,} documents of 1280 + 512 dimensions in commits of {COMMIT}, peer: parallel_bulk",
        *rates,
        goal=f">= {INDEXING_GOAL} of the peer",
        better="higher",
        holds=statistics.median(rates[0]) >= INDEXING_GOAL * statistics.median(rates[1]),
        unit="documents/s",
        cause="commits are small and wait for one another, as ingest's do",
    )


def _plain(source: dict[str, Any]) -> dict[str, Any]:
    """Arrays as lists, as a caller of opensearch-py holds them."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in source.items()}


def _questions(index: OpenSearchIndex, settings: OpenSearchSettings, client: OpenSearch) -> Iterator[Row]:
    alias = f"{settings.opensearch_prefix}.{COLLECTION}"
    client.indices.refresh(index=alias)
    client.indices.forcemerge(index=alias, params={"max_num_segments": "1", "request_timeout": 600})
    [asked] = documents(DOCUMENTS + 7, 1)
    vector = asked.vectors[FEATURES.name][0]
    near = VectorClause(FEATURES.name, FEATURES.provenance, vector)
    few: tuple[Condition, ...] = (AttributeIn("camera", ("camera 3",)),)
    facets = (Facet(FacetField.TAG), Facet(FacetField.OWNER))
    asked_for: list[tuple[str, Clause, tuple[Condition, ...], tuple[Facet, ...]]] = [
        ("vector top 10", near, (), ()),
        ("vector top 10, a twentieth of the photos", near, few, ()),
        ("vector top 10, exact", VectorClause(FEATURES.name, FEATURES.provenance, vector, exact=True), (), ()),
        ("vector within a radius", VectorClause(FEATURES.name, FEATURES.provenance, vector, 1.3), (), ()),
        ("keyword", KeywordClause(("label 31",)), (), ()),
        ("text", TextClause(("harbour", "boats"), (), ()), (), ()),
        ("text with two facets", TextClause(("harbour", "boats"), (), ()), (), facets),
    ]
    for name, clause, conditions, counted in asked_for:
        query = IndexQuery(COLLECTION, clause, conditions, facets=counted)
        space = FEATURES if isinstance(clause, VectorClause) else None
        scans = settings.exact_vectors >= DOCUMENTS
        body = plan(query, space, scans=scans).body
        assert body is not None
        dumped = json.dumps(body, default=np.ndarray.tolist)
        plain = json.loads(dumped)
        yield _asked(name, lambda query=query: index.search(query), lambda plain=plain: events_peers.search(client, alias, plain))


def _asked(name: str, ours: Callable[[], object], peer: Callable[[], object]) -> Row:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(QUERIES + 5):
        for times, call in zip(taken, (ours, peer), strict=True):
            started = time.perf_counter()
            call()
            if number >= 5:
                times.append(1_000 * (time.perf_counter() - started))
    added = statistics.median(taken[0]) - statistics.median(taken[1])
    return row(
        f"{name} of {DOCUMENTS:,}, p50, peer: raw _search with the same body",
        *taken,
        goal=f"<= peer + {ADDED_MS_GOAL:g} ms",
        better="lower",
        holds=added <= ADDED_MS_GOAL,
        unit="ms",
        cause=f"{added:.1f} ms added by planning the question and reading its answer",
    )


if __name__ == "__main__":
    for one in rows():
        print(json.dumps(one))
