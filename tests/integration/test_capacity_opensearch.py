"""`miradouro plan` predicts the disk use of a real OpenSearch; `make bench` reports it part by part."""

import uuid

import pytest
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings, Tuning
from miradouro.adapters.opensearch.client import connect
from miradouro.core.capacity import storage

from benchmarks.capacity_sizes import default_spaces
from benchmarks.index_photos import COLLECTION, batch

PHOTOS = 1_000


def test_photos_take_the_planned_disk_space(opensearch: str) -> None:
    spaces = default_spaces("vgg16-conv/pool1/avg")  # few numbers: text, tags and ids weigh as much as they ever do
    settings = OpenSearchSettings(
        opensearch_url=opensearch,
        opensearch_prefix=f"t{uuid.uuid4().hex}",
    )
    name = f"{settings.opensearch_prefix}.*"
    client = connect(settings, timeout_s=60)
    with OpenSearchIndex.open(settings, tuning=Tuning(refresh_interval="-1", timeout_s=60)) as index:
        index.ensure_collection(COLLECTION, spaces=spaces)
        try:
            index.write(batch(0, PHOTOS, spaces))
            client.indices.forcemerge(index=name, params={"max_num_segments": 1, "flush": "true"})
            stats = client.indices.stats(index=name, metric="store,docs")["_all"]["primaries"]
        finally:
            client.indices.delete(index=name)
            client.close()
    [space] = spaces
    each = storage.vector_bytes(space) + storage.graph_bytes(PHOTOS) + storage.rest_bytes(spaces)
    assert stats["docs"]["count"] == PHOTOS
    assert PHOTOS * each == pytest.approx(stats["store"]["size_in_bytes"], rel=0.2)
