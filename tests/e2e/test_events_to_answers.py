"""From photo events in Kafka to answers out of OpenSearch: three service processes, real engines and the real networks."""

import signal
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from miradouro.core.document import GeoPoint
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.v1 import search_service_pb2 as pb
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.many_machines import ServiceProcess, deployed, eventually, search_stub
from tests.pictures import jpeg

COLLECTION = "holidays"


def uploaded(name: str, version: int, *, seed: int, kind: EventKind = EventKind.UPLOADED, **fields: object) -> PhotoEvent:
    return PhotoEvent(f"{name}-{version}", kind, COLLECTION, name, version, data=jpeg(seed=seed), **fields)  # type: ignore[arg-type] # of PhotoEvent


def photos_embedded(embedding: ServiceProcess) -> float:
    """How many photos the service has embedded so far."""
    with urllib.request.urlopen(embedding.metrics, timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "miradouro_embedding_photos_total")


@pytest.mark.usefixtures("models_dir")
def test_events_become_answers_and_bad_ones_dead_letters(kafka: str, opensearch: str) -> None:
    with deployed(kafka, opensearch) as here, ExitStack() as stack:
        embedding = here.start("embedding", MIRADOURO_METRICS_LISTEN="127.0.0.1:0")
        here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = embedding.address
        ingest, query = here.start("ingest"), here.start("query")
        eventually("every service is ready", lambda: all(one.is_ready() for one in (embedding, ingest, query)))

        here.publish(*(uploaded(f"trip/{i}.jpg", 1, seed=i, caption=f"caption{i}", place=GeoPoint(38.7, -9.1)) for i in range(4)))
        here.publish(
            uploaded("trip/0.jpg", 3, seed=10, kind=EventKind.UPDATED, title="Graça"),
            uploaded("trip/0.jpg", 2, seed=11, kind=EventKind.UPDATED, title="too late"),
            PhotoEvent("gone", EventKind.DELETED, COLLECTION, "trip/1.jpg", 5),
        )
        here.send(
            (f"{COLLECTION}/trip/2.jpg".encode(), None, [("ce_photoversion", b"7")]),
            (f"{COLLECTION}/trip/3.jpg".encode(), None, []),
            (b"", b"{}", []),  # a compacted topic takes no record without a key
            (b"no-slash", b"{}", []),
            (f"{COLLECTION}/noise".encode(), b"\x00\xff noise", [("ce_specversion", b"1.0")]),
            (
                f"{COLLECTION}/future".encode(),
                b"{}",
                [("ce_specversion", b"1.0"), ("ce_id", b"f"), ("ce_type", b"photo.uploaded"), ("ce_photoversion", b"1"),
                 ("ce_dataschema", b"urn:miradouro:photo-event:2")],
            ),
        )  # fmt: skip
        here.publish(PhotoEvent("no-photo", EventKind.UPLOADED, COLLECTION, "text.jpg", 1, data=b"no picture at all"))
        here.publish(PhotoEvent("far", EventKind.UPLOADED, COLLECTION, "far.jpg", 1, uri="file:///etc/passwd"))

        wanted = {"trip/0.jpg": (3, False), "trip/1.jpg": (5, True), "trip/2.jpg": (7, True), "trip/3.jpg": (1, False)}
        eventually("the index holds what was published", lambda: here.versions(COLLECTION) == wanted)
        reasons = {
            ("", ""): "bad_key",
            ("no-slash", ""): "bad_key",
            (COLLECTION, "trip/3.jpg"): "version_missing",
            (COLLECTION, "noise"): "not_an_event",
            (COLLECTION, "future"): "unknown_schema_version",
            (COLLECTION, "text.jpg"): "not_a_photo",
            (COLLECTION, "far.jpg"): "invalid_argument",
        }

        def dead_letters() -> dict[tuple[str, str], str]:
            return {(one.collection, one.photo_id): one.reason for one in here.dead_letters.list(limit=1_000)[0]}

        eventually("every bad record is a dead letter", lambda: dead_letters() == reasons)

        stub = search_stub(query, stack)
        by_photo = pb.SearchRequest(collection=COLLECTION, photo=pb.ExampleQuery(data=jpeg(seed=10)))
        eventually("the index is refreshed", lambda: [hit.photo_id for hit in stub.Search(by_photo).hits][:1] == ["trip/0.jpg"])
        found = stub.Search(by_photo)
        assert found.hits[0].distance < 0.05
        assert [hit.photo_id for hit in found.hits] == ["trip/0.jpg", "trip/3.jpg"]
        in_words = stub.Search(pb.SearchRequest(collection=COLLECTION, text=pb.TextQuery(text="graca")))
        assert [hit.photo_id for hit in in_words.hits] == ["trip/0.jpg"]
        assert not stub.Search(pb.SearchRequest(collection=COLLECTION, text=pb.TextQuery(text="caption1 late"))).hits

        assert ingest.end(signal.SIGTERM) == 0
        here.publish(uploaded("trip/4.jpg", 1, seed=20))
        again = here.start("ingest")
        wanted["trip/4.jpg"] = (1, False)
        eventually("another consumer goes on where the first stopped", lambda: here.versions(COLLECTION) == wanted)
        assert dead_letters() == reasons, "nothing came twice"

        before, embedded = here.index.get_whole(COLLECTION, "trip/4.jpg"), photos_embedded(embedding)
        assert embedded > 0
        here.publish(uploaded("trip/4.jpg", 2, seed=20, kind=EventKind.UPDATED, title="new words"))
        wanted["trip/4.jpg"] = (2, False)
        eventually("the new words are stored", lambda: here.versions(COLLECTION) == wanted)
        after = here.index.get_whole(COLLECTION, "trip/4.jpg")
        assert photos_embedded(embedding) == embedded, "new words cost no forward pass"
        assert (after.title, after.tags, after.provenances) == ("new words", before.tags, before.provenances)
        assert {name: (vectors == after.vectors[name]).all() for name, vectors in before.vectors.items()} == dict.fromkeys(
            after.vectors, True
        )
        assert again.end() == 0
        assert query.end() == 0
        assert embedding.end() == 0


def test_a_missing_broker_error_names_the_setting(tmp_path: Path) -> None:
    from tests.e2e.command import start

    ingest = start("serve", "ingest", "--no-token", MIRADOURO_KAFKA_BOOTSTRAP="127.0.0.1:9", MIRADOURO_DATA_DIR=str(tmp_path))
    _, err = ingest.communicate(timeout=120)
    assert ingest.returncode == 1
    assert "MIRADOURO_KAFKA_BOOTSTRAP" in err
    assert "Traceback" not in err
