"""How the OpenSearch index writes: versions, refused documents, full queues, pipelines of the cluster, and generations."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from miradouro.adapters.opensearch import OpenSearchIndex, Tuning
from miradouro.adapters.opensearch.writes import BulkWriter, Write
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Document, GeoPoint, Origin, TakenAt
from miradouro.core.errors import InvalidArgument, NotFound, Unavailable
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import WriteStatus
from miradouro.core.query import AttributeIn, EverythingClause, Facet, FacetField, IndexQuery, TagIs, TextClause, VectorClause
from miradouro.development.engines import OpenSearch
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.outcome import Outcome, Status
from miradouro.ingest.pace import Pace
from miradouro.ingest.retry_policy import RetryPolicy
from miradouro.ingest.run import Run
from miradouro.ingest.runner import Runner
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import RequestError
from opensearchpy.helpers import scan
from prometheus_client import CollectorRegistry

from tests.e2e.many_machines import eventually
from tests.opensearch_collection import FOUND_AT_ONCE, opened
from tests.photo_documents import COLLECTION, SPACES, WHOLE, label, photo, tombstone, unit, user_tag

STORED, STALE = WriteStatus.STORED, WriteStatus.STALE


@pytest.fixture(scope="module")
def narrow(start_opensearch: Callable[..., OpenSearch], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """A node that indexes on one thread and lets two requests wait: it refuses what comes beside."""
    narrowness = {"thread_pool.write.size": "1", "thread_pool.write.queue_size": "2"}
    with start_opensearch(tmp_path_factory.mktemp("narrow"), settings=narrowness) as node:
        yield node


def test_documents_have_hashed_ids_and_flag_kept_originals(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        long = "é" * 500 + ".jpg"
        index.write([photo(long), photo("kept.jpg", uri="file:///kept.jpg"), tombstone("gone.jpg", 3)])

        def stored(photo_id: str) -> dict[str, Any]:
            answer = client.get(index=alias, id=hashlib.sha256(f"{COLLECTION}/{photo_id}".encode()).hexdigest())
            assert answer["_version"] == answer["_source"]["version"]
            return answer["_source"]

        assert (stored(long)["photo_id"], stored(long)["original"]) == (long, "none")
        assert stored("kept.jpg")["original"] == "uri"
        assert stored("gone.jpg") == {"collection": COLLECTION, "photo_id": "gone.jpg", "version": 3, "deleted": True}


def test_the_mapping_is_strict_and_records_each_provenance(opensearch: str) -> None:
    tuning = Tuning(refresh_interval="7s")
    with opened(opensearch, opensearch_shards=2, opensearch_replicas=1, tuning=tuning) as (_, client, alias):
        [(name, description)] = client.indices.get(index=alias).items()
        assert name == f"{alias}.000001"
        mapping, kept = description["mappings"], description["settings"]["index"]
        assert (kept["number_of_shards"], kept["number_of_replicas"], kept["refresh_interval"]) == ("2", "1", "7s")
        assert [space["provenance"] for space in mapping["_meta"]["spaces"]] == [space.provenance for space in SPACES]
        vectors = {field: one for field, one in mapping["properties"].items() if field.startswith(("vector__", "regions__"))}
        methods = [one.get("method") or one["properties"]["vector"]["method"] for one in vectors.values()]
        assert len(methods) == len(SPACES)
        assert {method["engine"] for method in methods} == {"lucene"}
        wanted = {"photo_id": "keyword", "tag_scores": "rank_features", "attributes": "flat_object", "place": "geo_point",
                  "taken_local": "date"}  # fmt: skip
        assert {name: mapping["properties"][name]["type"] for name in wanted} == wanted
        assert mapping["properties"]["words_human"]["analyzer"] in kept["analysis"]["analyzer"]
        with pytest.raises(RequestError, match="strict_dynamic_mapping_exception"):
            client.index(index=alias, body={"photo_id": "a.jpg", "unknown": 1})


def test_only_a_rewrite_stores_the_same_version_again(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.write([photo("a.jpg", 2)])
        bulk = BulkWriter(client, FOUND_AT_ONCE)
        document_id = hashlib.sha256(f"{COLLECTION}/a.jpg".encode()).hexdigest()
        for version, version_type, wanted in (
            (2, "external", STALE), (1, "external", STALE), (1, "external_gte", STALE), (2, "external_gte", STORED),
        ):  # fmt: skip
            body = client.get(index=alias, id=document_id)["_source"] | {"title": f"{version} {version_type}"}
            write = Write(alias, document_id, version, client.transport.serializer.dumps(body))
            assert bulk.write([write], version_type=version_type) == [wanted], (version, version_type)  # type: ignore[arg-type] # one of two
        bulk.close()
        assert index.get(COLLECTION, "a.jpg").title == "2 external_gte"


def test_a_document_refused_by_the_cluster_fails_alone(opensearch: str) -> None:
    """A keyword has at most 32,766 bytes; no event gets so far, for events have limits of their own."""
    with opened(opensearch) as (index, _, _):
        batch = [photo(f"{i}.jpg", owner="x" * 40_000 if i % 10 == 3 else "ana") for i in range(32)]
        written = index.write([*batch, photo("0.jpg", 1)])
        refused = [i for i, one in enumerate(written) if isinstance(one, InvalidArgument)]
        assert refused == [3, 13, 23]
        assert all("OpenSearch does not take it" in str(written[i]) and "owner" in str(written[i]) for i in refused)
        assert written[-1] is STALE
        assert {one for i, one in enumerate(written[:-1]) if i not in refused} == {STORED}
        assert {state.photo_id for state in index.origins(COLLECTION)} == {f"{i}.jpg" for i in range(32) if i not in refused}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=texts,
    tags=st.lists(names, max_size=4, unique=True),
    attributes=st.dictionaries(names, texts, max_size=4),
    owner=texts,
    at=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001 # its zone is given below
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    version=st.integers(1, 2**63 - 1),
)
def test_any_valid_event_can_be_stored_and_found(
    shared_index: OpenSearchIndex,
    title: str,
    tags: list[str],
    attributes: dict[str, str],
    owner: str,
    at: datetime,
    latitude: float,
    longitude: float,
    version: int,
) -> None:
    given_tags = (*map(user_tag, tags), label("a label", 0.001))
    document = Document(
        COLLECTION, f"{uuid.uuid4().hex}/{title}", version, title=title, caption=title * 400, tags=given_tags, owner=owner,
        attributes=attributes, place=GeoPoint(latitude, longitude), taken_at=TakenAt(at.replace(tzinfo=UTC), 60),
    )  # fmt: skip
    assert shared_index.write([document]) == [STORED]
    found = shared_index.get(COLLECTION, document.photo_id)
    assert replace(found, tags=()) == replace(document, tags=())
    assert set(found.tags) == set(document.tags)
    conditions = [AttributeIn(name, (value,)) for name, value in attributes.items()]
    conditions += [TagIs("a label")]
    answer = shared_index.search(IndexQuery(COLLECTION, EverythingClause(), tuple(conditions), limit=1_000))
    assert document.photo_id in {match.photo_id for match in answer.matches}


@pytest.fixture(scope="module")
def shared_index(opensearch: str) -> Iterator[OpenSearchIndex]:
    with opened(opensearch) as (index, _, _):
        yield index


def event(photo_id: str, **fields: Any) -> PhotoEvent:
    return PhotoEvent(photo_id, EventKind.UPLOADED, COLLECTION, photo_id, 1, data=b"x", **fields)


@contextmanager
def running(
    index: OpenSearchIndex, dead_letters: Path
) -> Iterator[tuple[Callable[[Sequence[PhotoEvent]], list[Outcome]], SqliteIndex]]:
    """A function that runs events through a pipeline without steps into the index, and the index that keeps the failures."""
    metrics = IngestMetrics(CollectorRegistry())
    retry = RetryPolicy(threading.Event(), 60, original_retry_s=5, metrics=metrics)
    run = Run((), lambda _: SPACES, retry, retriable_stops=True)
    with SqliteIndex.open(dead_letters, writer=True) as kept:
        runner = Runner(index=index, dead_letters=kept, workers=2, pace=Pace(commit_photos=32), metrics=metrics)
        try:
            yield lambda events: list(runner.run(events, run)), kept
        finally:
            runner.close()


def test_only_documents_without_room_are_sent_again(narrow: OpenSearch, tmp_path: Path) -> None:
    def rejected(client: Client) -> int:
        [row] = client.cat.thread_pool(thread_pool_patterns="write", format="json", h="rejected")
        return int(row["rejected"])

    with (
        opened(narrow.url, opensearch_shards=2, tuning=Tuning(timeout_s=60)) as (index, client, _),
        running(index, tmp_path) as (run, _),
    ):
        large = {f"a{number}": "x" * 1_000 for number in range(16)}  # so that each batch goes in several requests
        batches = [[event(f"{i}/{k}.jpg", attributes=large) for k in range(24)] for i in range(9)]
        before = rejected(client)
        with ThreadPoolExecutor(3) as threads:
            outcomes = [one for batch in threads.map(run, batches) for one in batch]
        assert rejected(client) > before, "the queue was never full, so nothing was tried"
        assert {one.status for one in outcomes} == {Status.STORED}, "a stale one was sent again although it was stored"
        client.indices.refresh()
        assert index.stats()[0].photos == 24 * 9


def test_a_read_only_index_is_a_temporary_error(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.write([photo("before.jpg")])
        client.indices.put_settings(index=alias, body={"index.blocks.read_only_allow_delete": True})
        with pytest.raises(Unavailable, match="disk"):
            index.write([photo("a.jpg")])
        assert index.get(COLLECTION, "before.jpg").version == 1, "it can still be read"
        client.indices.put_settings(index=alias, body={"index.blocks.read_only_allow_delete": None})
        assert index.write([photo("a.jpg")]) == [STORED]


class TestWithAnIngestPipelineOfTheCluster:
    PROCESSORS: tuple[Mapping[str, Any], ...] = (
        {"uppercase": {"field": "owner", "ignore_missing": True}},
        {"convert": {"field": "attributes.iso", "type": "integer", "ignore_missing": True}},
        {"drop": {"if": "ctx.owner == 'NOBODY'"}},
        {"fail": {"if": "ctx.owner == 'REFUSED'", "message": "wrong owner"}},
        {"set": {"if": "ctx.owner == 'MIXED'", "field": "tags", "value": ["a", 1]}},
        {"sort": {"if": "ctx.owner == 'MIXED'", "field": "tags"}},
    )

    @contextmanager
    def opened(self, url: str) -> Iterator[OpenSearchIndex]:
        name = f"t{uuid.uuid4().hex}"
        with opened(url, opensearch_pipeline=name) as (index, client, _):
            client.ingest.put_pipeline(id=name, body={"processors": list(self.PROCESSORS)})
            yield index

    def test_documents_go_through_it_and_tombstones_too(self, narrow: OpenSearch) -> None:
        with self.opened(narrow.url) as index:
            assert index.write([photo("a.jpg", owner="ana"), tombstone("b.jpg", 2)]) == [STORED, STORED]
            assert index.get(COLLECTION, "a.jpg").owner == "ANA"

    def test_documents_failed_by_the_pipeline_become_dead_letters(self, narrow: OpenSearch, tmp_path: Path) -> None:
        owners = {50: "nobody", 60: "refused", 70: "mixed"}
        events = [
            event(f"{i}.jpg", attributes={"iso": "wrong" if i % 30 == 7 else "100"}, owner=owners.get(i, "ana"))
            for i in range(80)
        ]
        bad = {f"{i}.jpg" for i in (7, 37, 67, 50, 60, 70)}
        with self.opened(narrow.url) as index, running(index, tmp_path) as (run, dead_letters):
            outcomes = {one.item.photo_id: one for one in run(events)}  # type: ignore[union-attr] # events
            assert {name for name, one in outcomes.items() if one.status is Status.FAILED} == bad
            assert {one.status for name, one in outcomes.items() if name not in bad} == {Status.STORED}
            failures = dead_letters.list(limit=1_000)[0]
            assert sorted(one.photo_id for one in failures) == sorted(bad)
            said = {"50.jpg": "drops", "60.jpg": "wrong owner", "70.jpg": "class_cast_exception"}
            assert [one.photo_id for one in failures if said.get(one.photo_id, "[wrong]") not in one.message] == []
            assert {state.photo_id for state in index.origins(COLLECTION)} == {f"{i}.jpg" for i in range(80)} - bad

    def test_documents_wait_while_the_pipeline_is_missing(self, narrow: OpenSearch) -> None:
        name = f"t{uuid.uuid4().hex}"
        with opened(narrow.url, opensearch_pipeline=name) as (index, client, _):
            for processors in (None, [{"pipeline": {"name": f"{name}.inner"}}]):
                if processors:
                    client.ingest.put_pipeline(id=name, body={"processors": processors})
                with pytest.raises(Unavailable, match="MIRADOURO_OPENSEARCH_PIPELINE"):
                    index.write([photo("a.jpg"), photo("b.jpg")])
            client.ingest.put_pipeline(id=f"{name}.inner", body={"processors": self.PROCESSORS[:1]})
            assert index.write([photo("a.jpg"), photo("b.jpg")]) == [STORED, STORED]


def test_rewriting_file_states_keeps_the_exact_vectors(opensearch: str) -> None:
    with opened(opensearch) as (index, _, _):
        index.write([photo("a.jpg")])
        before = {space.name: index.vector(COLLECTION, "a.jpg", space.name) for space in SPACES}
        index.refresh_origins(COLLECTION, {"a.jpg": Origin(1, 2, 3, 4, "", "")})
        for name, vectors in before.items():
            assert (index.vector(COLLECTION, "a.jpg", name) == vectors).all()


def test_an_unreadable_document_is_a_retriable_error(
    opensearch: str,
) -> None:
    with opened(opensearch, spaces=(WHOLE,)) as (index, client, alias):
        names = [f"{i}.jpg" for i in range(20)]
        index.write([photo(name, spaces=(WHOLE,)) for name in names])
        list(scan(client, index=alias, size=1_000))  # OpenSearch 3.5 closes files that it still needs
        with pytest.raises(Unavailable, match="already_closed"):
            index.refresh_origins(COLLECTION, {"3.jpg": Origin(1, 2, 3, 4, "", "")})
        assert [index.get(COLLECTION, name).photo_id for name in names] == names, "what needs no vector is returned"
        assert index.spaces_of(COLLECTION, "3.jpg") == [WHOLE.name]
        with pytest.raises(Unavailable, match="close and open the index"):
            index.vector(COLLECTION, "3.jpg", WHOLE.name)
        with pytest.raises(NotFound):
            index.get(COLLECTION, "unknown.jpg")


def test_a_document_without_its_vectors_is_never_rewritten(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.write([photo("a.jpg")])
        document_id = hashlib.sha256(f"{COLLECTION}/a.jpg".encode()).hexdigest()
        source = client.get(index=alias, id=document_id)["_source"]
        torn = {name: value for name, value in source.items() if not name.startswith("vector__small_features")}
        client.index(index=alias, id=document_id, body=torn, params={"version": 1, "version_type": "external_gte"})
        with pytest.raises(Unavailable, match="small/features"):
            index.refresh_origins(COLLECTION, {"a.jpg": Origin(1, 2, 3, 4, "", "")})
        assert index.get(COLLECTION, "a.jpg").origin is None


def test_a_missing_shard_is_a_retriable_error(narrow: OpenSearch, tmp_path: Path) -> None:
    with opened(narrow.url, opensearch_shards=2) as (index, client, alias):
        names = [f"{i}.jpg" for i in range(20)]
        index.write([photo(name, owner=name) for name in names])
        whole, words = VectorClause(WHOLE.name, WHOLE.provenance, unit("a", 1, 32)[0]), TextClause(("photo",), (), ())
        clauses = (EverythingClause(), whole, replace(whole, exact=True), replace(whole, max_distance=1.3), words)
        questions: list[Callable[[], object]] = [
            *(partial(index.search, IndexQuery(COLLECTION, one, facets=(Facet(FacetField.OWNER),))) for one in clauses),
            lambda: list(index.origins(COLLECTION)),
            index.stats,
            lambda: list(audited.documents(COLLECTION)),
        ]
        with index.audited() as audited, lost_shard(client, f"{alias}.000001", tmp_path):
            for ask in questions:
                with pytest.raises(Unavailable):
                    ask()
            assert 0 < sum(_can_be_read(index, name) for name in names) < len(names), "the other shard returns its photos"


@contextmanager
def lost_shard(client: Client, physical: str, aside: Path) -> Iterator[None]:
    """An open index of two shards of which one has no copy, as when the disk that held it is gone."""
    [node] = client.nodes.stats(metric="fs")["nodes"].values()
    identity = client.indices.get_settings(index=physical)[physical]["settings"]["index"]["uuid"]
    client.indices.close(index=physical)
    (Path(node["fs"]["data"][0]["path"]) / "indices" / identity / "1").rename(aside / "shard")
    client.indices.open(index=physical, params={"wait_for_active_shards": "0"})

    def are_settled() -> bool:
        return sorted(row["state"] for row in client.cat.shards(index=physical, format="json")) == ["STARTED", "UNASSIGNED"]

    eventually("one shard is there and the other is lost", are_settled)
    yield


def _can_be_read(index: OpenSearchIndex, name: str) -> bool:
    try:
        return index.get(COLLECTION, name).photo_id == name
    except Unavailable:
        return False
