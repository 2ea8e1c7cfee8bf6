"""`miradouro audit events`: it holds for a deployment at rest, and every kind of damage, done past our own code, has its name."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from miradouro.adapters.opensearch.client import connect
from miradouro.adapters.opensearch.documents import id_of
from miradouro.core.event import EventKind, PhotoEvent
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError

from tests.e2e.command import run
from tests.e2e.many_machines import Deployment, deployed, eventually
from tests.e2e.tiny_embedding import tiny_embedding
from tests.pictures import jpeg

COLLECTION = "holidays"
LIVE = 8
Damage = Callable[["Rested"], AbstractContextManager[None]]


class Rested:
    """A deployment whose events are all consumed, and the cluster behind it, which takes any writes."""

    def __init__(self, here: Deployment, client: OpenSearch) -> None:
        self.here, self.client = here, client
        self.alias = f"{here.opensearch.opensearch_prefix}.{COLLECTION}"

    def source(self, name: str) -> dict[str, Any]:
        return dict(self.client.get(index=self.alias, id=id_of(COLLECTION, name))["_source"])

    def remove(self, document_id: str) -> None:
        """As an operator might: the engine remembers the version of what was deleted, and of nothing older than `gc_deletes`."""
        self.client.delete(index=self.alias, id=document_id, params={"refresh": "true"})

    def put(self, name: str, source: dict[str, Any], *, version: int | None = None) -> None:
        """A document as if it had just been indexed for the first time; `version` is the engine's, else that of the source."""
        document_id = id_of(COLLECTION, name)
        if self.client.exists(index=self.alias, id=document_id):
            self.remove(document_id)
        newest = source["version"] if version is None else version
        eventually("the engine has forgotten the deletion", lambda: self._is_taken(document_id, source, newest))

    def _is_taken(self, document_id: str, source: dict[str, Any], version: int) -> bool:
        options = {"version": version, "version_type": "external", "refresh": "true"}
        try:
            self.client.index(index=self.alias, id=document_id, body=source, params=options)
        except ConflictError:
            return False
        return True


@pytest.fixture(scope="module")
def rested(kafka: str, opensearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rested]:
    with deployed(kafka, opensearch) as here, tiny_embedding(tmp_path_factory.mktemp("tiny")) as address:
        here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = address
        ingest = here.start("ingest")
        for i in range(LIVE):
            here.publish(_uploaded(f"{i}.jpg", 1, seed=i))
        here.publish(_uploaded("0.jpg", 5, seed=20), _uploaded("0.jpg", 3, seed=21), _uploaded("gone.jpg", 1, seed=22))
        here.publish(PhotoEvent("d", EventKind.DELETED, COLLECTION, "gone.jpg", 4))
        here.publish(PhotoEvent("n", EventKind.UPLOADED, COLLECTION, "none.jpg", 1, data=b"no picture"))
        here.send((f"{COLLECTION}/noise".encode(), b"\xff\x00", [("ce_specversion", b"1.0")]))
        eventually("everything is committed", lambda: here.lag() == 0)
        assert ingest.end() == 0
        client = connect(here.opensearch)
        client.indices.put_settings(index=f"{here.opensearch.opensearch_prefix}.*", body={"index.gc_deletes": "0s"})
        yield Rested(here, client)
        client.close()


def _uploaded(name: str, version: int, *, seed: int) -> PhotoEvent:
    return PhotoEvent(f"{name}-{version}", EventKind.UPLOADED, COLLECTION, name, version, data=jpeg(64, 48, seed=seed))


def test_a_deployment_at_rest_holds(rested: Rested) -> None:
    report = rested.here.audit("--sample", 100, "--settled").json
    assert report.pop("least_cosine") >= 0.9999
    assert isinstance(report.pop("seed"), int)
    assert report == {
        "holds": True,
        "violations": [],
        "counts": {},
        "records": LIVE + 6,
        "events": LIVE + 5,
        "refused": 1,
        "waiting": 0,
        "compacted": 0,
        "dead_letters": 2,
        "repeated_dead_letters": 0,
        "photos": LIVE,
        "tombstones": 1,
        "sampled": LIVE,
        "unproven": [],
        "unproven_count": 0,
    }


def _replaced(name: str, change: Callable[[dict[str, Any]], dict[str, Any]], *, version: int | None = None) -> Damage:
    """A document that holds something else for a while."""

    @contextmanager
    def damage(rested: Rested) -> Iterator[None]:
        source = rested.source(name)
        rested.put(name, change(dict(source)), version=version)
        yield
        rested.put(name, source)

    return damage


@contextmanager
def _removed(rested: Rested, name: str = "1.jpg") -> Iterator[None]:
    source = rested.source(name)
    rested.remove(id_of(COLLECTION, name))
    yield
    rested.put(name, source)


@contextmanager
def _tombstone_removed(rested: Rested) -> Iterator[None]:
    with _removed(rested, "gone.jpg"):
        yield


def _another(change: dict[str, Any]) -> Damage:
    """A document more."""

    @contextmanager
    def damage(rested: Rested) -> Iterator[None]:
        rested.client.index(
            index=rested.alias, id="another", body={**rested.source("2.jpg"), **change}, params={"refresh": "true"}
        )
        yield
        rested.remove("another")

    return damage


@contextmanager
def _moved(rested: Rested) -> Iterator[None]:
    source = rested.source("3.jpg")
    with _removed(rested, "3.jpg"):
        rested.client.index(index=rested.alias, id="elsewhere", body=source, params={"refresh": "true"})
        yield
        rested.remove("elsewhere")


@contextmanager
def _dead_letters_dropped(rested: Rested) -> Iterator[None]:
    """Kafka forgets every dead letter; afterwards they are written again."""
    kafka = rested.here.kafka
    consumer = KafkaConsumer(bootstrap_servers=kafka.kafka_bootstrap)
    admin = KafkaAdminClient(bootstrap_servers=kafka.kafka_bootstrap)
    try:
        partitions = [TopicPartition(kafka.kafka_dead_topic, i) for i in consumer.partitions_for_topic(kafka.kafka_dead_topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends, dead_letters = consumer.end_offsets(partitions), []
        while any(consumer.position(one) < ends[one] for one in partitions):
            dead_letters += [one for found in consumer.poll(timeout_ms=500).values() for one in found]
        admin.delete_records({partition: ends[partition] for partition in partitions})
        yield
        for one in dead_letters:
            rested.here.producer.send(one.topic, key=one.key, value=one.value, headers=list(one.headers)).get(timeout=30)
    finally:
        consumer.close()
        admin.close()


def _altered(source: dict[str, Any]) -> dict[str, Any]:
    [field, *_] = sorted(name for name in source if name.startswith("vector__"))
    codes = source[field]
    return {**source, field: [-codes[0] or 1, *codes[1:]]}


def _without_vector(source: dict[str, Any]) -> dict[str, Any]:
    [field, *_] = sorted(name for name in source if name.startswith("vector__"))
    del source[field]
    return source


def _tombstone(source: dict[str, Any]) -> dict[str, Any]:
    return {name: source[name] for name in ("collection", "photo_id", "version")} | {"deleted": True}


DAMAGES: dict[str, tuple[Damage, dict[str, str]]] = {
    "removed": (_removed, {"event_lost": "1.jpg", "committed_too_far": ""}),
    "tombstone removed": (_tombstone_removed, {"event_lost": "gone.jpg", "committed_too_far": ""}),
    "doubled": (_another({}), {"document_doubled": "2.jpg"}),
    "aged": (
        _replaced("0.jpg", lambda source: {**source, "version": 3}),
        {"document_outdated": "0.jpg", "committed_too_far": "", "original_differs": "0.jpg"},
    ),
    "of the future": (_replaced("4.jpg", lambda source: {**source, "version": 9}), {"document_unknown": "4.jpg"}),
    "invented": (_another({"photo_id": "never.jpg"}), {"document_unknown": "never.jpg", "document_misplaced": "never.jpg"}),
    "moved": (_moved, {"document_misplaced": "3.jpg"}),
    "versions apart": (_replaced("5.jpg", dict, version=8), {"document_version": "5.jpg"}),
    "alive again": (_replaced("gone.jpg", lambda source: {**source, "deleted": False}), {"deletion_undone": "gone.jpg"}),
    "buried alive": (_replaced("6.jpg", _tombstone), {"deletion_unasked": "6.jpg"}),
    "tombstone with words": (_replaced("gone.jpg", lambda source: {**source, "title": "here"}), {"tombstone_full": "gone.jpg"}),
    "vector altered": (_replaced("7.jpg", _altered), {"vector_differs": "7.jpg"}),
    "vector removed": (_replaced("7.jpg", _without_vector), {"vector_missing": "7.jpg"}),
    "made from another photo": (
        _replaced("7.jpg", lambda source: {**source, "sha256": "0" * 64}),
        {"original_differs": "7.jpg"},
    ),
    "dead letters dropped": (
        _dead_letters_dropped,
        {"dead_letter_missing": "", "event_lost": "none.jpg", "committed_too_far": ""},
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_found_under_its_name(rested: Rested, damage: str) -> None:
    harm, wanted = DAMAGES[damage]
    with harm(rested):
        done = rested.here.audit("--sample", 100, "--settled")
    report = json.loads(done.out)
    assert done.code == 1, done.err
    assert {one["name"]: one["photo_id"] for one in report["violations"]} == wanted
    assert set(report["counts"]) == set(wanted)
    assert report["holds"] is False
    healed = rested.here.audit("--sample", 0, "--settled").json
    assert healed["counts"] == {}, "the damage was undone"


@pytest.fixture
def deserted(kafka: str, opensearch: str) -> Iterator[Deployment]:
    """Events without a consumer."""
    with deployed(kafka, opensearch) as here:
        here.publish(_uploaded("a.jpg", 1, seed=0), _uploaded("b.jpg", 1, seed=1))
        here.send((f"{COLLECTION}/noise".encode(), b"\xff\x00", [("ce_specversion", b"1.0")]))
        yield here


def _commit(here: Deployment, offset: Callable[[int], int]) -> None:
    """Commits, for every partition, what `offset` makes of its end."""
    consumer = KafkaConsumer(
        bootstrap_servers=here.kafka.kafka_bootstrap, group_id=here.kafka.kafka_group, enable_auto_commit=False
    )
    try:
        partitions = [TopicPartition(here.kafka.kafka_topic, i) for i in consumer.partitions_for_topic(here.kafka.kafka_topic)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.commit({one: OffsetAndMetadata(offset(ends[one]), "", -1) for one in partitions})
    finally:
        consumer.close(autocommit=False)


def test_a_group_without_commits_is_reported_unless_settled(deserted: Deployment) -> None:
    done = deserted.audit("--sample", 0)
    assert (done.code, done.out) == (1, "")
    assert "MIRADOURO_KAFKA_GROUP" in done.err
    report = json.loads(deserted.audit("--sample", 0, "--settled").out)
    assert report["counts"] == {"event_lost": 2, "dead_letter_missing": 1}


def test_uncommitted_events_count_as_waiting(deserted: Deployment) -> None:
    _commit(deserted, lambda _: 0)
    report = deserted.audit().json
    assert (report["holds"], report["waiting"], report["sampled"]) == (True, 3, 0)


def test_committed_but_unfinished_events_show_where_to_restart(deserted: Deployment) -> None:
    _commit(deserted, lambda end: end)
    report = json.loads(deserted.audit().out)
    assert report["counts"].keys() == {"event_lost", "dead_letter_missing", "committed_too_far"}
    assert {one["offset"] for one in report["violations"] if one["name"] == "committed_too_far"} == {0}
    _commit(deserted, lambda end: end + 7)
    report = json.loads(deserted.audit().out)
    assert any("another topic" in one["message"] for one in report["violations"] if one["name"] == "committed_too_far")


def test_mismatched_dead_letters_are_reported(deserted: Deployment) -> None:
    def letter(value: bytes, partition: object, offset: object, reason: str = "not_an_event") -> None:
        values = {"topic": deserted.kafka.kafka_topic, "partition": str(partition), "offset": str(offset), "reason": reason}
        headers = [(f"miradouro-{name}", text.encode()) for name, text in values.items()]
        deserted.producer.send(deserted.kafka.kafka_dead_topic, key=b"x", value=value, headers=headers).get(timeout=30)

    [lost] = [
        one
        for one in json.loads(deserted.audit("--sample", 0, "--settled").out)["violations"]
        if one["name"] == "dead_letter_missing"
    ]
    place = lost["partition"], lost["offset"]
    letter(b"\xff\x00", *place)
    report = json.loads(deserted.audit("--sample", 0, "--settled").out)
    assert report["counts"] == {"event_lost": 2}
    letter(b"\xff\x00", *place)
    report = json.loads(deserted.audit("--sample", 0, "--settled").out)
    assert (report["counts"], report["repeated_dead_letters"]) == ({"event_lost": 2}, 1)
    letter(b"something else", *place)
    letter(b"?", 0, 10_000)
    report = json.loads(deserted.audit("--sample", 0, "--settled").out)
    assert report["counts"] == {"event_lost": 2, "dead_letter_altered": 1, "dead_letter_unfounded": 1}
    for place in ((0, 2**63), (2**31, 0), (-1, 0), ("9" * 5_000, "x" * 5_000)):
        letter(b"?", *place)
    report = json.loads(deserted.audit("--sample", 0, "--settled").out)
    assert report["counts"] == {"event_lost": 2, "dead_letter_altered": 1, "dead_letter_unfounded": 5}
    unfounded = [one for one in report["violations"] if one["name"] == "dead_letter_unfounded"]
    assert sum("names partition '0', offset '9223372036854775808'" in one["message"] for one in unfounded) == 1
    assert max(len(one["message"]) for one in unfounded) < 400


def test_the_report_names_broken_invariant_and_cause(deserted: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in deserted.environment.items():
        monkeypatch.setenv(name, value)
    done = run("audit", "events", "--settled", "--seed", 7)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("I1 event_lost: ")
    assert {line.split(" version 1 at ")[0] for line in lines[1:3]} == {f"    {COLLECTION}/{name}.jpg" for name in "ab"}
    assert lines[-1] == "broken: I1, I4"
    assert lines[-2].endswith("(seed 7)")
    monkeypatch.setenv("MIRADOURO_KAFKA_TOPIC", "no-such-topic")
    done = run("audit", "events")
    assert done.code == 1
    assert "'no-such-topic'" in done.err


def test_an_unavailable_original_is_reported_as_unchecked(kafka: str, opensearch: str, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "a.jpg"
    photo.parent.mkdir()
    photo.write_bytes(jpeg(64, 48))
    with deployed(kafka, opensearch) as here, tiny_embedding(tmp_path / "tiny") as address:
        here.environment |= {"MIRADOURO_EMBEDDING_ADDRESS": address, "MIRADOURO_PHOTO_ROOTS": str(photo.parent)}
        ingest = here.start("ingest")
        here.publish(PhotoEvent("a", EventKind.UPLOADED, COLLECTION, "a.jpg", 1, uri=photo.as_uri()))
        eventually("everything is committed", lambda: here.lag() == 0)
        assert ingest.end() == 0
        assert here.audit().json["sampled"] == 1
        photo.write_bytes(jpeg(64, 48, seed=1))
        report = here.audit().json
        assert (report["sampled"], report["unproven"]) == (0, [f"{COLLECTION}/a.jpg: the original is another file by now"])
        photo.unlink()
        report = here.audit().json
        assert report["sampled"] == 0
        assert "can't be read again" in report["unproven"][0]
