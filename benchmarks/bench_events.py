"""Events from Kafka into OpenSearch: consuming against kafka-python's own loop, what bad records cost the good ones, how soon an
event is found, memory in an outage.

`python -m benchmarks.bench_events` prints the rows. Uses the Kafka of MIRADOURO_TEST_KAFKA, or one of its own; the OpenSearch is
always one of its own, for it is killed. MIRADOURO_BENCH_EVENTS events are consumed; the outage lasts MIRADOURO_BENCH_OUTAGE_S
seconds.
"""

import itertools
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from kafka import KafkaProducer
from miradouro.adapters.kafka import KafkaSettings, KafkaSource, ensure_topics
from miradouro.core.errors import BadEvent
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import NothingYet, Refused, SourceItem
from miradouro.core.source_record import SourceRecord
from miradouro.development.engines import OpenSearch, start_kafka, start_opensearch
from miradouro.ingest.cloud_event import item_of, record_of
from miradouro.v1 import embedding_service_pb2
from miradouro.v1.embedding_service_pb2 import PRESET_LABORATORY
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import TransportError

from benchmarks import events_peers
from benchmarks.bench_embedding import Row, make_photos, row, take_turns
from benchmarks.bench_end_to_end import _anonymous_mib, _p95, alone
from tests.e2e.many_machines import Deployment, Record, ServiceProcess, deployed, eventually

EVENTS = int(os.environ.get("MIRADOURO_BENCH_EVENTS", "20000"))
OUTAGE_S = float(os.environ.get("MIRADOURO_BENCH_OUTAGE_S", "300"))
CONSUMING_GOAL = 0.9
REFRESH_S, ADDED_S = 1.0, 0.5
FOUND = min(40, max(5, EVENTS // 200))  # photos of which is measured how soon they are found
HELD = min(512, EVENTS // 20)  # as by default; fewer in a try
PAUSE_S, ASKED_EVERY_S, COUNTED_EVERY_S = 0.3, 0.01, 0.1
GOOD = max(5, EVENTS // 200)  # photos among which there is bad
BAD_GOAL = 0.95
BAD_HEADERS = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"photo.uploaded"), ("ce_photoversion", b"1")]
BAD = (  # value and headers of records of which each becomes a dead letter
    (bytes(range(256)), [("ce_id", b"\xff")]),
    (b'{"colour": "red"}', BAD_HEADERS),
    (b'{"uri": "file:///etc/passwd"}', BAD_HEADERS),
    (b'{"data_base64": "AAAAAAAAAAAAAAAAAAAAAAAA"}', BAD_HEADERS),
    (b"{}", [*BAD_HEADERS, ("ce_dataschema", b"urn:miradouro:photo-event:2")]),
)
WAITING = HELD * 3 // 2  # events that wait when the outage begins
EVERY_S = 0.2  # between events of the outage
GROWTH_GOAL = 1.05
COLLECTION = "bench"


def rows() -> Iterator[Row]:
    """The rows of `make bench`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = os.environ.get("MIRADOURO_TEST_KAFKA") or stack.enter_context(start_kafka(folder / "kafka")).bootstrap
        yield from _consuming(kafka)
        opensearch = stack.enter_context(start_opensearch(folder / "opensearch"))
        (folder / "photos").mkdir()
        photos = [photo.read_bytes() for photo in sorted(make_photos(folder / "photos").iterdir())]
        here = stack.enter_context(deployed(kafka, opensearch.url))
        here.constants["miradouro.ingest.composition:INTAKE.pending_events"] = HELD
        here.constants["miradouro.adapters.opensearch.engine:TUNING.refresh_interval"] = f"{REFRESH_S:g}s"
        embedding = here.start("embedding")
        here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = embedding.address
        ingest = here.start("ingest")
        yield _found(here, embedding, ingest, photos)
        yield _among_bad(here, photos)
        yield _outage(here, ingest, opensearch, photos)


def _consuming(kafka: str) -> Iterator[Row]:
    name = f"bench{uuid.uuid4().hex}"
    topics = KafkaSettings(kafka_bootstrap=kafka, kafka_topic=name, kafka_dead_topic=f"{name}.dead")
    ensure_topics(topics)
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=20)
    for i in range(EVENTS):
        photo_id = f"album {i % 50}/photo {i:06}.jpg"
        event = PhotoEvent(
            f"e{i}", EventKind.UPLOADED, COLLECTION, photo_id, 1, uri=f"https://photos.example/{i}.jpg", title=f"photo {i}",
            caption="view of the old harbour with boats", tags=("harbour", "boats"), owner="ana", attributes={"camera": "X100"},
        )  # fmt: skip
        key, value, headers = record_of(event)
        producer.send(name, key=key, value=value, headers=headers)
    producer.flush()
    producer.close()

    unread = BadEvent("not_an_event", "value", "nothing reads it")

    def as_it_is(record: SourceRecord) -> SourceItem:
        return Refused(COLLECTION, "", 1, "", unread, record)

    confluent = events_peers.confluent_loop()
    turns = [
        lambda: _consume(topics, as_it_is),
        lambda: _consume(topics, item_of),
        lambda: events_peers.poll_loop(kafka, name, EVENTS),
        *([lambda: confluent(kafka, name, EVENTS)] if confluent else []),
    ]
    nothing, parsed, peer, *others = take_turns(*turns)
    about = {"unit": "events/s", "better": "higher"}
    two_threads = "one thread polls and another acknowledges, on one interpreter"
    reading = f"reading and checking an event takes {_microseconds(item_of, key, value, headers):.0f} µs of the one interpreter"
    for what, ours, cause in (
        ("a pipeline that does nothing", nothing, two_threads),
        ("every event read and checked", parsed, reading),
    ):
        ratio = statistics.median(ours) / statistics.median(peer)
        yield row(
            f"consuming {EVENTS:,} events, {what}, peer: kafka-python's own poll loop",
            ours,
            peer,
            goal=f">= {CONSUMING_GOAL} of the peer",
            holds=ratio >= CONSUMING_GOAL,
            cause=cause,
            **about,
        )
    for other in others:
        yield row(
            f"consuming {EVENTS:,} events, a pipeline that does nothing, peer: confluent-kafka",
            nothing,
            other,
            goal="none: for comparison",
            holds=True,
            cause="",
            **about,
        )


def _microseconds(decode: Callable[[SourceRecord], object], key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> float:
    record = SourceRecord("bench", 0, 0, key, value, tuple(headers))
    started = time.perf_counter()
    for _ in range(1_000):
        decode(record)
    return 1e3 * (time.perf_counter() - started)


def _consume(topics: KafkaSettings, decode: Callable[[SourceRecord], SourceItem]) -> float:
    """Events per second from the first one to the last acknowledgement, as a new group."""
    settings = topics.model_copy(update={"kafka_group": uuid.uuid4().hex})
    with KafkaSource(settings, decode) as source:
        seen, started = 0, 0.0
        for item in source.events():
            if isinstance(item, NothingYet):
                continue
            started = started or time.perf_counter()
            source.acknowledge(item)
            seen += 1
            if seen == EVENTS:
                break
        taken = time.perf_counter() - started
    return seen / taken


def _found(here: Deployment, embedding: ServiceProcess, ingest: ServiceProcess, photos: list[bytes]) -> Row:
    eventually("the services are ready", lambda: embedding.is_ready() and ingest.is_ready())
    client = Client([here.opensearch.opensearch_url])
    alias = f"{here.opensearch.opensearch_prefix}.{COLLECTION}"

    def is_found(photo_id: str) -> bool:
        try:
            return bool(client.count(index=alias, body={"query": {"term": {"photo_id": photo_id}}})["count"])
        except TransportError:  # the collection is just being made
            return False

    def seconds(number: int) -> float:
        name = f"found/{number}.jpg"
        event = PhotoEvent(name, EventKind.UPLOADED, COLLECTION, name, 1, data=photos[number % len(photos)])
        started = time.perf_counter()
        here.publish(event)
        while not is_found(name):
            time.sleep(ASKED_EVERY_S)
        return time.perf_counter() - started

    with embedding.channel() as channel:
        stub = EmbeddingServiceStub(channel)
        described = stub.DescribeSpaces(embedding_service_pb2.DescribeSpacesRequest(), timeout=60)
        spaces = [space.name for bundle in described.bundles for space in bundle.spaces if space.preset != PRESET_LABORATORY]

        def embed(number: int) -> float:
            photo = embedding_service_pb2.PhotoInput(encoded=photos[number % len(photos)])
            started = time.perf_counter()
            stub.Embed(embedding_service_pb2.EmbedRequest(photos=[photo], spaces=spaces, tags=True), timeout=120)
            return time.perf_counter() - started

        seconds(FOUND)  # makes the collection
        taken, embedded = [], []
        for number in range(FOUND):
            embedded.append(embed(number))
            taken.append(seconds(number))
            time.sleep(PAUSE_S)
    client.close()
    limit = _p95(embedded) + REFRESH_S + ADDED_S
    return alone(
        f"from event to searchable, p95 of {FOUND}",
        [_p95(taken)],
        goal=f"<= {limit:.2f} s: {_p95(embedded):.2f} s to embed (p95), {REFRESH_S:g} s until refreshed, and {ADDED_S:g} s",
        holds=_p95(taken) <= limit,
        unit="s",
        cause=f"median {statistics.median(taken):.2f}, worst {max(taken):.2f} s",
    )


def _among_bad(here: Deployment, photos: list[bytes]) -> Row:
    """Photos per second with one bad record among them, of another kind each time, and without."""
    runs, poisoned = itertools.count(), itertools.count()
    client = Client([here.opensearch.opensearch_url])
    alias = f"{here.opensearch.opensearch_prefix}.{COLLECTION}"

    def stored(run: int) -> int:
        client.indices.refresh(index=alias)
        return int(client.count(index=alias, body={"query": {"prefix": {"photo_id": f"among/{run}/"}}})["count"])

    def speed(bad: Iterator[tuple[bytes, list[tuple[str, bytes]]]]) -> float:
        run = next(runs)
        records: list[Record] = []
        for number in range(GOOD):
            name = f"among/{run}/{number}.jpg"
            records.append(
                record_of(PhotoEvent(name, EventKind.UPLOADED, COLLECTION, name, 1, data=photos[number % len(photos)]))
            )
            if number == GOOD // 2:
                records += [(f"{COLLECTION}/bad/{next(poisoned)}".encode(), *one) for one in itertools.islice(bad, 1)]
        started = time.perf_counter()
        here.send(*records)
        while stored(run) < GOOD:
            time.sleep(COUNTED_EVERY_S)
        return GOOD / (time.perf_counter() - started)

    bad = itertools.cycle(BAD)
    with_bad, without = take_turns(lambda: speed(bad), lambda: speed(iter(())))
    sent = next(poisoned)
    eventually("every bad record is a dead letter", lambda: len(here.dead_letters.list(limit=1_000)[0]) >= sent)
    letters = len(here.dead_letters.list(limit=1_000)[0])
    client.close()
    return row(
        f"{GOOD:,} photos from event to stored, one bad record among them, peer: none",
        with_bad,
        without,
        goal=f">= {BAD_GOAL} of the peer",
        holds=statistics.median(with_bad) >= BAD_GOAL * statistics.median(without) and letters == sent,
        cause=f"{letters} dead letters of {sent} bad records",
        unit="photos/s",
        better="higher",
    )


def _outage(here: Deployment, ingest: ServiceProcess, opensearch: OpenSearch, photos: list[bytes]) -> Row:
    """Events keep coming while there is no index: after what is held is full, memory must not grow."""
    opensearch.kill()
    names = (f"outage/{number}.jpg" for number in range(10**9))

    def publish() -> str:
        name = next(names)
        here.publish(PhotoEvent(name, EventKind.UPLOADED, COLLECTION, name, 1, data=photos[len(name) % len(photos)]))
        return name

    for _ in range(WAITING):
        last = publish()
    memory, started = [], time.monotonic()
    while time.monotonic() - started < OUTAGE_S:
        last = publish()
        memory.append(_anonymous_mib(ingest.process.pid))
        time.sleep(EVERY_S)
    opensearch.start()
    eventually("what waited is indexed", lambda: last in here.versions(COLLECTION), within_s=3_600)
    third = len(memory) // 3
    early, late = max(memory[:third]), max(memory[-third:])
    return {
        "name": f"anonymous memory of ingest in an outage of the index of {OUTAGE_S:g} s: its last third, peer: its first third",
        "ours": late,
        "peer": early,
        "ratio": late / early,
        "goal": f"ratio of at most {GROWTH_GOAL}",
        "better": "lower",
        "holds": late <= GROWTH_GOAL * early,
        "unit": "MiB",
        "cause": None if late <= GROWTH_GOAL * early else f"from {min(memory):.0f} to {max(memory):.0f} MiB",
    }


if __name__ == "__main__":
    for one in rows():
        print(json.dumps(one))
