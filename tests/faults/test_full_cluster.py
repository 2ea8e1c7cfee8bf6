"""A cluster that takes no more shards: events that would make a collection are dead letters, all others go on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings, Tuning
from miradouro.adapters.opensearch.client import connect
from miradouro.core.errors import FailedPrecondition
from miradouro.development.engines import OpenSearch
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_FAILED, EVENT_STATUS_STORED
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent

from tests.ingest_fixture import open_ingest
from tests.opensearch_collection import FOUND_AT_ONCE
from tests.photo_documents import SPACES
from tests.pictures import jpeg

PICTURE = jpeg(seed=1)


@pytest.fixture(scope="module")
def own(start_opensearch: Callable[..., OpenSearch], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchSettings]:
    """An engine of this module's own: its limits are changed."""
    with start_opensearch(tmp_path_factory.mktemp("opensearch")) as engine:
        yield OpenSearchSettings(opensearch_url=engine.url)


def allow(settings: OpenSearchSettings, more: int) -> None:
    """Lets the cluster hold so many shards more than it does."""
    client = connect(settings)
    held = client.cluster.health()["active_shards"]
    client.cluster.put_settings(body={"persistent": {"cluster.max_shards_per_node": held + more}})
    client.close()


def uploaded(collection: str, version: int) -> PhotoEvent:
    return PhotoEvent(
        event_id="1", kind=PHOTO_EVENT_KIND_UPLOADED, collection=collection, photo_id="a.jpg", version=version, data=PICTURE
    )


def test_without_room_for_shards_only_new_collections_fail(own: OpenSearchSettings, tmp_path: Path) -> None:
    with OpenSearchIndex.open(own, tuning=FOUND_AT_ONCE) as index, open_ingest(tmp_path, index=index) as ingest:
        allow(own, more=own.opensearch_shards * (1 + own.opensearch_replicas))
        (result,) = ingest.put(uploaded("first", 1)).results
        assert result.status == EVENT_STATUS_STORED
        allow(own, more=0)
        results = ingest.put(uploaded("second", 1), uploaded("first", 2)).results
        assert [(one.status, one.reason) for one in results] == [
            (EVENT_STATUS_FAILED, "too_many_collections"),
            (EVENT_STATUS_STORED, ""),
        ]
        assert "no room for its shards: 400 validation_exception" in results[0].message
        allow(own, more=10)
        (result,) = ingest.put(uploaded("second", 1)).results
        assert result.status == EVENT_STATUS_STORED, "once there is room, the same event is taken"


def test_a_wrong_setting_blames_no_event(own: OpenSearchSettings, tmp_path: Path) -> None:
    wrong = own.model_copy(update={"opensearch_prefix": "wrong"})
    with (
        OpenSearchIndex.open(wrong, tuning=Tuning(refresh_interval="soon")) as index,
        open_ingest(tmp_path, index=index) as ingest,
    ):
        with pytest.raises(FailedPrecondition, match="refresh_interval"):
            ingest.put(uploaded("first", 1))
        assert ingest.failures() == {}
        with pytest.raises(FailedPrecondition, match="refresh_interval"):
            index.ensure_collection("first", spaces=SPACES)
