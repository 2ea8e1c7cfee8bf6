"""An operator mends what photos died of and sends their dead letters again, while everything runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from miradouro.core.event import EventKind, PhotoEvent

from tests.e2e.command import run
from tests.e2e.many_machines import Deployment, deployed, eventually
from tests.e2e.tiny_embedding import tiny_embedding
from tests.pictures import jpeg

COLLECTION = "trips"
PHOTOS = 12


@pytest.fixture
def here(kafka: str, opensearch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with deployed(kafka, opensearch) as made, tiny_embedding(tmp_path) as address:
        made.environment["MIRADOURO_EMBEDDING_ADDRESS"] = address
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def event(name: str, version: int, kind: EventKind = EventKind.UPLOADED, *, data: bytes | None = None) -> PhotoEvent:
    return PhotoEvent(f"{name}-{version}", kind, COLLECTION, name, version, data=data)


def retry() -> dict[str, Any]:
    report: dict[str, Any] = run("events", "retry", "--json").json
    return {status: report[status] for status in ("sent", "superseded", "impossible")}


def test_dead_letters_of_unlisted_collections_can_be_retried(here: Deployment) -> None:
    first = here.start("ingest", MIRADOURO_COLLECTIONS="holidays")
    for i in range(PHOTOS):
        here.publish(event(f"{i}.jpg", 1, data=jpeg(64, 48, seed=i)))
    here.publish(event("0.jpg", 2, EventKind.UPDATED, data=jpeg(64, 48, seed=20)))
    here.publish(event("1.jpg", 2, EventKind.DELETED))
    here.publish(event("none.jpg", 1, data=b"no photo"))
    eventually("everything is committed", lambda: here.lag() == 0)
    assert first.end() == 0
    assert here.versions(COLLECTION) == {}
    here.start("ingest")
    assert retry() == {"sent": PHOTOS + 1, "superseded": 2, "impossible": 0}
    eventually("everything is committed", lambda: here.lag() == 0)
    alive = {f"{i}.jpg": (1, False) for i in range(PHOTOS)}
    assert here.versions(COLLECTION) == alive | {"0.jpg": (2, False), "1.jpg": (2, True)}
    assert [one.photo_id for one in here.dead_letters.list()[0]] == ["none.jpg"], "it died again, of what is true of it"
    report = here.audit("--settled", "--sample", 100).json
    assert (report["counts"], report["sampled"]) == ({}, PHOTOS - 1)
    assert retry() == {"sent": 1, "superseded": 0, "impossible": 0}
    eventually("everything is committed", lambda: here.lag() == 0)
    assert here.audit("--settled", "--sample", 0).json["counts"] == {}
