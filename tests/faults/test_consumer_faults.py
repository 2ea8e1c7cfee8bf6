"""The consumer through kills, stops, documents that the index refuses and events that come late: nothing is lost or doubled."""

import random
import signal
import time
from collections.abc import Iterator

import pytest
from miradouro.adapters.opensearch.client import connect
from miradouro.adapters.opensearch.documents import id_of
from miradouro.adapters.opensearch.mapping import alias_of, index_body, index_of
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.ingest.cloud_event import record_of
from opensearchpy.exceptions import ConflictError

from tests.e2e.many_machines import Deployment, eventually
from tests.e2e.tiny_embedding import tiny_embedding
from tests.faults.load import (
    COLLECTION,
    COMMIT_INTERVAL_S,
    COMMIT_PHOTOS,
    FULL,
    PENDING,
    PENDING_EVENTS,
    SESSION_TIMEOUT_S,
    SIZES,
    SMALL,
    Counted,
    Load,
    Size,
    audited,
    deployment_for,
    in_the_middle,
    prove,
)
from tests.pictures import jpeg
from tests.tiny_bundle import tiny_bundles


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tiny_embedding(tmp_path_factory.mktemp("tiny")) as address:
        yield address


@SIZES
def test_repeated_kills_neither_lose_nor_double_photos(kafka: str, opensearch: str, embedding: str, size: Size) -> None:
    """What comes again is bounded by numbers alone: no time passes until a commit that would bound it, too."""
    load, chance = Load(size), random.Random(size.seed)
    with deployment_for(size, kafka, opensearch, embedding) as here:
        stale = []
        for records in load.slices(size.times):
            here.send(*records)
            # The shortest session that Kafka allows: the group waits so long for a killed member.
            ingest = Counted(here, constants={COMMIT_INTERVAL_S: 60.0, SESSION_TIMEOUT_S: 6.0})
            in_the_middle(here, size)
            time.sleep(chance.uniform(0, 0.2))  # any moment of a batch; nothing below depends on it
            stale.append(ingest.outcomes().get("stale", 0))
            ingest.service.end(signal.SIGKILL)
        last = Counted(here)
        while here.lag():
            assert audited(here, "--sample", 3)["counts"] == {}, "the audit may run beside the consumer"
        report = prove(here, load, repeated=True)
        stale.append(last.outcomes().get("stale", 0))
        assert last.service.end() == 0
        assert max(stale) <= PENDING * size.partitions, f"a kill makes no more come again: {stale}"
        print({"kills": len(stale) - 1, "came again and were stale": stale, "audit": report})  # with -s


@SIZES
def test_a_consumer_stopped_under_load_redelivers_nothing(kafka: str, opensearch: str, embedding: str, size: Size) -> None:
    load = Load(size)
    with deployment_for(size, kafka, opensearch, embedding) as here:
        first, rest = load.slices(2)
        here.send(*first)
        ingest = Counted(here)
        in_the_middle(here, size)
        here.send(*rest)  # now, so that much is left to do however late this process gets its turn
        began = time.monotonic()
        assert ingest.service.end(signal.SIGTERM) == 0
        took_s = time.monotonic() - began
        assert here.lag() > 0, "there was more to do"
        assert audited(here, "--sample", 0)["counts"] == {}
        again = Counted(here)
        report = prove(here, load)
        assert again.outcomes().get("stale", 0) == 0, "what the first had done was committed"
        assert again.service.end() == 0
        print({"stopped within s": round(took_s, 2), "audit": report})


@SIZES
def test_documents_refused_by_the_index_become_dead_letters(
    kafka: str, opensearch: str, embedding: str, size: Size, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A collection whose titles are numbers: the mapping refuses the 3 % that are words, in the middle of bulk requests."""
    load = Load(Size(0, size.partitions, 1, 0))
    for i in range(size.photos):
        name, is_bad = f"{i:05}.jpg", i % 33 == 0
        title = "in words" if is_bad else str(i)
        event = PhotoEvent(f"{name}-1", EventKind.UPLOADED, COLLECTION, name, 1, data=jpeg(64, 48, seed=i % 16), title=title)
        load.records.append(record_of(event))
        if is_bad:
            load.dead_letters[name] = "invalid_argument"
        else:
            load.wanted[name] = (1, False)
    with deployment_for(size, kafka, opensearch, embedding) as here:
        spaces = [space for one in tiny_bundles(tmp_path_factory.mktemp("spaces")) for space in one.description.spaces]
        prefix, client = here.opensearch.opensearch_prefix, connect(here.opensearch)
        body = index_body(spaces, root="", settings=here.opensearch) | {"aliases": {alias_of(prefix, COLLECTION): {}}}
        body["mappings"]["properties"]["title"] = {"type": "integer"}
        client.indices.create(index=index_of(prefix, COLLECTION, 1), body=body)
        client.close()
        here.constants |= {COMMIT_PHOTOS: 32, PENDING_EVENTS: 64}
        here.send(*load.records)
        ingest = Counted(here)
        report = prove(here, load)
        outcomes = ingest.outcomes()
        # Of a bulk request that was refused in part the rest is sent again, and is as it is stored already.
        assert outcomes["stored"] + outcomes.get("stale", 0) == len(load.wanted)
        assert outcomes["failed"] == len(load.dead_letters)
        assert ingest.service.end() == 0
        print({"refused by the index": len(load.dead_letters), "audit": report})


@pytest.mark.parametrize("photos", [SMALL.photos // 20, pytest.param(FULL.photos // 20, marks=pytest.mark.long)])
def test_late_older_events_do_not_restore_deleted_photos(kafka: str, opensearch: str, embedding: str, photos: int) -> None:
    load = Load(Size(0, 3, 1, 0))
    for i in range(photos):
        load.wanted[f"{i}.jpg"] = (2, True)
    with deployment_for(SMALL, kafka, opensearch, embedding) as here:
        ingest = Counted(here)
        created = [
            record_of(PhotoEvent(f"{name}-1", EventKind.UPLOADED, COLLECTION, name, 1, data=jpeg(64, 48))) for name in load.wanted
        ]
        deleted = [record_of(PhotoEvent(f"{name}-2", EventKind.DELETED, COLLECTION, name, 2)) for name in load.wanted]
        here.send(*created)
        eventually("the photos are there", lambda: len(here.versions(COLLECTION)) == photos)
        _forget_deletions_soon(here)
        here.send(*deleted)
        eventually("the photos are deleted", lambda: here.versions(COLLECTION) == load.wanted)
        _wait_until_deletions_are_forgotten(here)
        here.send(*created)
        load.records = [*created, *deleted, *created]
        prove(here, load, sample=0)
        assert ingest.outcomes() == {"stored": 2 * photos, "stale": photos}
        assert ingest.service.end() == 0


def _forget_deletions_soon(here: Deployment) -> None:
    client = connect(here.opensearch)
    client.indices.put_settings(index=f"{here.opensearch.opensearch_prefix}.*", body={"index.gc_deletes": "1s"})
    client.close()


def _wait_until_deletions_are_forgotten(here: Deployment) -> None:
    """A document that was really deleted, later than the photos, is taken again with a version that is older."""
    client = connect(here.opensearch)
    index, canary = alias_of(here.opensearch.opensearch_prefix, COLLECTION), id_of(COLLECTION, "canary")
    source = {"collection": COLLECTION, "photo_id": "canary", "version": 1, "deleted": True}

    def write(version: int) -> bool:
        try:
            options = {"version": version, "version_type": "external", "refresh": "true"}
            client.index(index=index, id=canary, body=source, params=options)
        except ConflictError:
            return False
        return True

    try:
        assert write(5)
        client.delete(index=index, id=canary, params={"version": 6, "version_type": "external", "refresh": "true"})
        eventually("the engine has forgotten", lambda: write(1))
        client.delete(index=index, id=canary, params={"version": 2, "version_type": "external", "refresh": "true"})
    finally:
        client.close()
