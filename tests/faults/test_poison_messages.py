"""Records that are no events, or attacks, in the middle of events: each becomes a dead letter, and nothing else happens."""

import base64
import functools
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.ingest.cloud_event import SCHEMA, record_of

from tests.e2e.many_machines import Deployment, Record, deployed, eventually
from tests.hostile_photos import png_bomb_16bit_trns, progressive_bomb, webp_bomb
from tests.kafka_records import records_of
from tests.pictures import jpeg

COLLECTION = "poisoned"
LARGE = 20 * 1024 * 1024
KINDS = 15 + 8
MAX_MESSAGE_BYTES = 1_000
JSON = [("content-type", b"application/json")]


def headers(**changed: str | None) -> list[tuple[str, bytes]]:
    """Headers of an event, some of them changed or left out."""
    attributes = {"specversion": "1.0", "id": "1", "type": "photo.uploaded", "photoversion": "3", **changed}
    return [(f"ce_{name}", text.encode()) for name, text in attributes.items() if text is not None]


def poison(number: int) -> list[tuple[str, Record]]:
    """One record of every kind that is no event of ours, with the reason that its dead letter gives."""
    key = f"{COLLECTION}/poison{number}".encode()
    state = json.dumps({"uri": "file:///a.jpg"}).encode()
    noise = random.Random(number)
    inline = b'{"data_base64": "' + base64.b64encode(bytes(LARGE * 3 // 4)) + b'"}'
    return [
        ("not_an_event", (key, noise.randbytes(1_000), [("ce_id", noise.randbytes(9))])),
        ("invalid_argument", (key, b'{"colour": "red"}', headers())),
        ("bad_data", (key, inline, headers())),
        ("bad_key", (None, state, headers())),
        ("bad_key", (noise.randbytes(500_000), state, headers())),
        ("unknown_schema_version", (key, state, headers(dataschema=SCHEMA[:-1] + "2"))),
        ("not_an_event", (key, state, headers(id=None))),
        ("version_missing", (key, state, headers(photoversion=None))),
        ("version_missing", (key, None, [])),
        ("unknown_collection", (b"elsewhere/a.jpg", state, headers())),
        ("not_an_event", (key, b'{"title": "\\ud800"}', headers())),
        ("not_an_event", (key, b'{"place": {"latitude": 1' + b"0" * 400 + b', "longitude": 1}}', headers())),
        ("not_an_event", (key, b"[" * 100_000, headers())),
        ("invalid_argument", (key, b'{"uri": "file:///etc/passwd"}', headers())),
        ("not_a_photo", (key, b'{"data_base64": "AAAAAAAAAAAAAAAAAAAAAAAA"}', headers())),
    ]


def hostile(number: int) -> list[tuple[str, Record]]:
    """One record of every kind of attack by an event: bombs of pixels, of scans, and values that errors could repeat."""
    key = f"{COLLECTION}/hostile{number}".encode()
    large = "x" * 900_000
    photos = [("too_expensive", progressive_bomb(1_500, 4_096, 4_096)), *(("too_many_pixels", bomb) for bomb in pixel_bombs())]
    states = [
        ("bad_data", {"uri": "file:///a.jpg", "taken_at": {"instant": large}}),
        ("bad_data", {"uri": "file:///a.jpg", "place": {"latitude": large, "longitude": 1}}),
        ("invalid_argument", {"uri": "file:///a.jpg", "sha256": large}),
        ("invalid_argument", {"uri": "file:///a.jpg", "attributes": {large: "a"}}),
    ]
    return [
        *(
            (reason, (key, json.dumps({"data_base64": base64.b64encode(photo).decode()}).encode(), headers()))
            for reason, photo in photos
        ),
        *((reason, (key, json.dumps(state).encode(), headers())) for reason, state in states),
        ("bad_version", (key, b'{"uri": "file:///a.jpg"}', headers(photoversion="9" * 900_000))),
    ]


@functools.cache
def pixel_bombs() -> tuple[bytes, bytes]:
    """Gigabytes of pixels in 40 bytes of WebP and in 243 kB of PNG."""
    return webp_bomb(), png_bomb_16bit_trns()


def permit_everything(here: Deployment) -> None:
    """Records without a key, and of 20 MB: no topic of ours takes them, one that was there before may."""
    with closing(KafkaAdminClient(bootstrap_servers=here.kafka.kafka_bootstrap)) as admin:
        wanted = {"cleanup.policy": "delete", "max.message.bytes": str(LARGE * 2)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, here.kafka.kafka_topic, configs=wanted)])


def mixed(photos: int, rounds: int) -> Iterator[tuple[str, Record]]:
    """The events of `photos`, each with the reason "", and every poison `rounds` times, evenly among them."""
    picture = jpeg(seed=1)
    bad = [one for number in range(rounds) for one in (*poison(number), *hostile(number))]
    kinds = len(bad)
    for i in range(photos):
        yield "", record_of(PhotoEvent(f"{i}", EventKind.UPLOADED, COLLECTION, f"{i:05}.jpg", 1, data=picture))
        while bad and len(bad) > (photos - 1 - i) * kinds // photos:
            yield bad.pop(0)


def send(here: Deployment, stream: Iterator[tuple[str, Record]]) -> dict[tuple[int, int], tuple[str, bytes | None]]:
    """Sends the stream; gives the (reason, value) of the poison by its partition and offset."""
    sent: list[tuple[str, bytes | None, object]] = []
    bootstrap = here.kafka.kafka_bootstrap
    with closing(KafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=LARGE * 2)) as producer:
        for reason, (key, value, record_headers) in stream:
            future = producer.send(here.kafka.kafka_topic, key=key, value=value, headers=list(record_headers))
            sent.append((reason, value, future))
        producer.flush()
        placed = [(reason, value, future.get(timeout=60)) for reason, value, future in sent]  # type: ignore[attr-defined] # the client has no types
    return {(at.partition, at.offset): (reason, value) for reason, value, at in placed if reason}


def dead_letters_of(here: Deployment) -> Sequence[tuple[tuple[int, int], tuple[str, bytes | None]]]:
    """Of each dead letter where its record stands, its reason, and the value or its hash."""
    found = []
    for one in records_of(here.kafka.kafka_bootstrap, here.kafka.kafka_dead_topic):
        known = dict(one.headers)
        assert known["miradouro-topic"].decode() == here.kafka.kafka_topic
        assert len(known["miradouro-message"]) <= MAX_MESSAGE_BYTES
        place = int(known["miradouro-partition"]), int(known["miradouro-offset"])
        found.append((place, (known["miradouro-reason"].decode(), known.get("miradouro-value-sha256", one.value))))
    return found


@pytest.mark.usefixtures("models_dir")
@pytest.mark.parametrize(("photos", "rounds"), [(60, 1), pytest.param(4_500, 3, marks=pytest.mark.long)])
def test_only_poison_becomes_dead_letters(kafka: str, opensearch: str, photos: int, rounds: int) -> None:
    with deployed(kafka, opensearch) as here:
        here.environment |= {"MIRADOURO_BUNDLES": "efficientnet-lite0", "MIRADOURO_COLLECTIONS": COLLECTION}
        permit_everything(here)
        bad = send(here, mixed(photos, rounds))
        assert len(bad) == rounds * KINDS
        wanted = {
            place: (reason, hashlib.sha256(value).hexdigest().encode() if value and len(value) > LARGE // 2 else value)
            for place, (reason, value) in bad.items()
        }
        here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = here.start("embedding").address
        ingest = here.start("ingest")
        good = {f"{i:05}.jpg": (1, False) for i in range(photos)}
        eventually("every photo is stored", lambda: here.versions(COLLECTION) == good, within_s=120 + photos / 5)
        eventually("everything is committed", lambda: here.lag() == 0)
        assert dict(dead_letters_of(here)) == wanted
        assert len(dead_letters_of(here)) == len(wanted), "each of them once"
        assert here.audit("--settled", "--sample", 3).json["dead_letters"] == len(wanted), "the auditor finds nothing amiss"
        assert [one.name for one in here.index.stats()] == [COLLECTION]
        assert here.audit("--settled", "--sample", 3).json["counts"] == {}
        eventually("the process that began is ready", ingest.is_ready)
        assert ingest.end() == 0
