"""The embedding service crashes and is away: good photos wait, in order, and the consumer keeps its place in the group."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import MappingProxyType

import pytest
from kafka import KafkaAdminClient
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.development.engines import free_ports

from tests.e2e.many_machines import Deployment, ServiceProcess, deployed, eventually
from tests.e2e.tuned import Constants
from tests.faults.load import COMMIT_PHOTOS, PENDING_EVENTS
from tests.pictures import jpeg

pytestmark = pytest.mark.usefixtures("models_dir")
COLLECTION = "patient"
PENDING = 16
PACE = "miradouro.ingest.composition:PACE"
RETRY_S = 1.0  # what a single call may take; a stream waits as long as it takes


def member_of(here: Deployment) -> str:
    """The only member of the group, "" while the group is not settled."""
    with closing(KafkaAdminClient(bootstrap_servers=here.kafka.kafka_bootstrap)) as admin:
        [group] = admin.describe_groups([here.kafka.kafka_group]).values()
    if group["group_state"] != "Stable":
        return ""
    [member] = group["members"]
    return str(member["member_id"])


@contextmanager
def load(
    kafka: str, opensearch: str, photos: int, *, constants: Constants = MappingProxyType({})
) -> Iterator[tuple[Deployment, ServiceProcess, ServiceProcess]]:
    """A deployment whose topic holds two events of each photo, the embedding service, and a consumer that has begun with it."""
    with deployed(kafka, opensearch) as here:
        here.environment["MIRADOURO_BUNDLES"] = "efficientnet-lite0"
        here.constants |= {PENDING_EVENTS: PENDING, COMMIT_PHOTOS: 4, f"{PACE}.retry_s": RETRY_S, **constants}
        for i in range(photos):
            name, picture = f"{i:04}.jpg", jpeg(seed=i)
            here.publish(PhotoEvent(f"{name}-1", EventKind.UPLOADED, COLLECTION, name, 1, data=picture))
            here.publish(PhotoEvent(f"{name}-2", EventKind.UPDATED, COLLECTION, name, 2, data=picture, title=f"{i}"))
        # A port of its own, which is still free when the service returns.
        embedding = here.start("embedding", listen=f"127.0.0.1:{free_ports(1)[0]}")
        here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = embedding.address
        ingest = here.start("ingest")
        eventually("the group is settled", lambda: member_of(here) != "")
        eventually("photos are being stored", lambda: len(here.versions(COLLECTION)) > 0)
        yield here, embedding, ingest


def assert_all_stored(here: Deployment, photos: int) -> None:
    """Fails unless every photo comes to stand at its newest version and nothing is a dead letter."""
    wanted = {f"{i:04}.jpg": (2, False) for i in range(photos)}
    eventually("every photo stands at its newest version", lambda: here.versions(COLLECTION) == wanted)
    eventually("everything is committed", lambda: here.lag() == 0)
    assert here.dead_letters.list() == ([], "")
    assert here.audit("--settled", "--sample", 3).json["counts"] == {}
    assert {here.index.get(COLLECTION, name).title for name in wanted} == {str(i) for i in range(photos)}


@pytest.mark.parametrize(
    ("photos", "crashes", "away_s"),
    [(80, 2, 3 * RETRY_S), pytest.param(400, 1, 330.0, marks=pytest.mark.long)],
    ids=["two crashes", "beyond max.poll.interval"],
)
def test_no_photo_is_lost_without_the_embedding_service(
    kafka: str, opensearch: str, photos: int, crashes: int, away_s: float
) -> None:
    with load(kafka, opensearch, photos) as (here, embedding, ingest):
        member, stored = member_of(here), 0
        for _ in range(crashes):
            eventually("photos are being stored", lambda: len(here.versions(COLLECTION)) > stored)  # noqa: B023 # called at once
            embedding.end(signal.SIGKILL)
            eventually("the consumer is not ready", lambda: not ingest.is_ready())
            until = time.monotonic() + away_s
            while time.monotonic() < until:
                assert here.dead_letters.list() == ([], ""), "a photo that waits is no bad photo"
                assert ingest.process.poll() is None
                time.sleep(0.2)
            stored = len(here.versions(COLLECTION))
            assert stored < photos, "it was in the middle of them"
            assert member_of(here) == member, "the group did not go on without it"
            embedding = here.start("embedding", listen=embedding.address)
        assert_all_stored(here, photos)
        eventually("it is ready again", ingest.is_ready)
        assert ingest.end() == 0


def test_a_hanging_embedding_service_is_waited_for(kafka: str, opensearch: str) -> None:
    with load(kafka, opensearch, 60) as (here, embedding, ingest):
        embedding.process.send_signal(signal.SIGSTOP)
        try:
            eventually("the consumer is not ready", lambda: not ingest.is_ready())
            assert here.dead_letters.list() == ([], "")
        finally:
            embedding.process.send_signal(signal.SIGCONT)
        assert_all_stored(here, 60)
        eventually("it is ready again", ingest.is_ready)
        assert ingest.end() == 0


@pytest.mark.parametrize(
    "fault", [signal.SIGSTOP, pytest.param(signal.SIGKILL, marks=pytest.mark.long)], ids=["hangs", "crashed"]
)
def test_a_stopped_consumer_ends_despite_missing_embeddings(kafka: str, opensearch: str, fault: signal.Signals) -> None:
    with load(kafka, opensearch, 60, constants={f"{PACE}.embed_timeout_s": 3_600.0}) as (here, embedding, ingest):
        embedding.process.send_signal(fault)
        eventually("the consumer is not ready", lambda: not ingest.is_ready())
        assert ingest.end() == 0, "it does not wait for the call that hangs"
        assert here.dead_letters.list() == ([], "")
        embedding.end(signal.SIGKILL)
        here.start("embedding", listen=embedding.address)
        here.start("ingest")
        assert_all_stored(here, 60)
