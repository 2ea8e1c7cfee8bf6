"""What runs through the consumer while something breaks, and the proof that nothing was lost, doubled or made up.

The same load in two sizes: small ones for every run of the tests, full ones for `make test-long`.
"""

import json
import random
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.ingest.cloud_event import record_of
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.many_machines import Deployment, Record, ServiceProcess, deployed, eventually
from tests.e2e.tuned import Constants
from tests.pictures import jpeg

COLLECTION = "load"
PENDING = 16  # events that a consumer has read and not stored, at most
PENDING_EVENTS = "miradouro.ingest.composition:INTAKE.pending_events"
COMMIT_PHOTOS = "miradouro.ingest.composition:PACE.commit_photos"
COMMIT_INTERVAL_S = "miradouro.ingest.composition:INTAKE.commit_interval_s"
SESSION_TIMEOUT_S = "miradouro.ingest.composition:INTAKE.session_timeout_s"
UPDATED_EVERY, DELETED_EVERY, POISON_EVERY, NO_PHOTO_EVERY = 10, 20, 50, 40


@dataclass(frozen=True)
class Size:
    """How much of it: photos, partitions, how often something breaks, and for how many seconds at least."""

    photos: int
    partitions: int
    times: int
    outage_s: float
    seed: int = 20_260_101

    def __str__(self) -> str:
        return f"{self.photos} photos"


SMALL = Size(photos=60, partitions=3, times=1, outage_s=0)
FULL = Size(photos=2_000, partitions=6, times=20, outage_s=30)
SIZES = pytest.mark.parametrize("size", [SMALL, pytest.param(FULL, marks=pytest.mark.long)], ids=str)


class Load:
    """The records, and what must be left of them in the end."""

    def __init__(self, size: Size) -> None:
        pictures = [jpeg(64, 48, seed=i) for i in range(16)]
        self.records: list[Record] = []
        self.wanted: dict[str, tuple[int, bool]] = {}
        self.dead_letters: dict[str, str] = {}
        for i in range(size.photos):
            name, data = f"{i:05}.jpg", pictures[i % len(pictures)]
            self._add(PhotoEvent(f"{name}-1", EventKind.UPLOADED, COLLECTION, name, 1, data=data))
            if i % UPDATED_EVERY == 0:
                self._add(PhotoEvent(f"{name}-2", EventKind.UPDATED, COLLECTION, name, 2, data=data, title="new"))
            if i % DELETED_EVERY == 0:
                self._add(PhotoEvent(f"{name}-3", EventKind.DELETED, COLLECTION, name, 3))
            if i % POISON_EVERY == 0:
                self.records.append((f"{COLLECTION}/poison{i}".encode(), b"\xff\x00", [("ce_specversion", b"1.0")]))
                self.dead_letters[f"poison{i}"] = "not_an_event"
            if i % NO_PHOTO_EVERY == 0:
                self.records.append(record_of(PhotoEvent(f"n{i}", EventKind.UPLOADED, COLLECTION, f"no{i}", 1, data=b"no photo")))
                self.dead_letters[f"no{i}"] = "not_a_photo"

    def _add(self, event: PhotoEvent) -> None:
        self.records.append(record_of(event))
        self.wanted[event.photo_id] = (event.version, event.kind is EventKind.DELETED)

    def slices(self, count: int) -> Iterator[Sequence[Record]]:
        """All records in order, in `count` parts."""
        length = -(-len(self.records) // count)
        for start in range(0, len(self.records), length):
            yield self.records[start : start + length]


@contextmanager
def deployment_for(size: Size, kafka: str, opensearch: str, embedding: str) -> Iterator[Deployment]:
    """A deployment whose consumers take little at a time, so that faults meet them in the middle of a batch."""
    with deployed(kafka, opensearch, partitions=size.partitions) as here:
        here.environment |= {
            "MIRADOURO_EMBEDDING_ADDRESS": embedding,
        }
        here.constants |= {
            COMMIT_PHOTOS: 4,
            PENDING_EVENTS: PENDING,
            COMMIT_INTERVAL_S: 0.2,
            SESSION_TIMEOUT_S: 60.0,  # a loaded machine delays heartbeats
        }
        yield here


def in_the_middle(here: Deployment, size: Size) -> None:
    """Waits until some of what is published is committed, and not all of it."""
    chance = random.Random(f"{size.seed} {here.lag()}")
    left = here.lag() - chance.randint(1, 8)
    eventually("the consumer is in the middle of it", lambda: here.lag() <= left)


def audited(here: Deployment, *words: object) -> dict[str, Any]:
    """The auditor's report, with or without violations."""
    done = here.audit(*words)
    assert done.out, done.err
    report: dict[str, Any] = json.loads(done.out)
    assert report["holds"] is (done.code == 0), report
    return report


def prove(here: Deployment, load: Load, *, sample: int = 10, repeated: bool = False, within_s: float = 600.0) -> dict[str, Any]:
    """Waits until everything is committed; then the auditor finds no violation, and exactly the expected records are there.

    `repeated`: whether dead letters may stand there twice, as after a crash between a dead letter and its commit.
    """
    eventually("everything is committed", lambda: here.lag() == 0, within_s=within_s)
    report = audited(here, "--settled", "--sample", sample, "--seed", 1)
    assert report["counts"] == {}, report["violations"][:5]
    assert (report["waiting"], report["compacted"], report["unproven"]) == (0, 0, []), report
    assert report["sampled"] == min(sample, report["photos"]), report
    assert report["records"] == len(load.records), f"every record that was acknowledged is in the log: {report}"
    assert here.versions(COLLECTION) == load.wanted, "one document for each photo, at its newest version"
    dead_letters = {one.photo_id: one.reason for one in here.dead_letters.list(limit=1_000)[0]}
    assert dead_letters == load.dead_letters, f"the dead letters are those that were injected: {dead_letters}"
    assert report["dead_letters"] - report["repeated_dead_letters"] == len(load.dead_letters), report
    assert repeated or report["repeated_dead_letters"] == 0, f"no dead letter comes twice: {report}"
    return report


class Counted:
    """An ingest service whose counts can be read while it runs."""

    def __init__(self, here: Deployment, *, constants: Constants = MappingProxyType({})) -> None:
        self.service: ServiceProcess = here.start("ingest", constants=constants, MIRADOURO_METRICS_LISTEN="127.0.0.1:0")

    def outcomes(self) -> dict[str, int]:
        """Status → events, so far."""
        with urllib.request.urlopen(self.service.metrics, timeout=30) as answer:
            text = answer.read().decode()
        found: dict[str, int] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "miradouro_ingest_events_total":
                    found[sample.labels["status"]] = found.get(sample.labels["status"], 0) + int(sample.value)
        return found
