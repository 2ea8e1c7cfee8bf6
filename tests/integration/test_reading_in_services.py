"""What services promise while photos are read in children: words find their thread, and need no child at all."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from miradouro.runtime.call import Call
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.searching import open_search
from miradouro.standalone.settings import StandaloneSettings
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from miradouro.v1.search_service_pb2 import EverythingQuery, KeywordQuery, SearchRequest

from tests.http_fixture import Door, open_door
from tests.ingest_fixture import open_ingest
from tests.pictures import SQUASH, jpeg
from tests.processes import children_of, eventually
from tests.reading import READER, READING

UPLOADS = 20
WORDS = {"keyword": {"words": ["dog"]}}


def event(photo_id: str) -> PhotoEvent:
    return PhotoEvent(event_id=photo_id, kind=PHOTO_EVENT_KIND_UPLOADED, photo_id=photo_id, version=1, data=jpeg())


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with open_door(tmp_path) as opened:
        opened.ingest.put(event("a.jpg"))
        yield opened


@contextmanager
def held_children() -> Iterator[None]:
    """Every child of the pool stands still, as if a photo took all of its time."""
    READER.decode(jpeg(), [SQUASH])
    READING.pool.warm()
    eventually(lambda: len(READING.pool.pids) == READING.pool.size)
    pids = READING.pool.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_words_are_answered_while_uploads_hang(door: Door) -> None:
    with ThreadPoolExecutor(UPLOADS) as people:
        with held_children():
            uploads = [people.submit(door.ask, "POST", "/v1/search/photo", jpeg()) for _ in range(UPLOADS)]
            eventually(lambda: sum(upload.done() for upload in uploads) > 0)
            for _ in range(5):
                assert door.post("/v1/search", WORDS).code == 200
            assert not all(upload.done() for upload in uploads), "the words did not wait for these"
        statuses = [upload.result().code for upload in uploads]
    assert set(statuses) <= {200, 422, 400, 429, 503}
    assert statuses.count(200) >= 1
    assert sum(status in {429, 503} for status in statuses) >= 1


def test_words_start_no_child(tmp_path: Path) -> None:
    with open_ingest(tmp_path) as ingest:
        ingest.put(event("a.jpg"))
    before = set(children_of(os.getpid()))
    configuration = Configuration(standalone=StandaloneSettings(data_dir=tmp_path / "data"))
    with open_search(configuration, space="") as search:
        search.Search(SearchRequest(keyword=KeywordQuery(words=["dog"])), Call())
        listed = search.Search(SearchRequest(everything=EverythingQuery()), Call())
        assert [hit.photo_id for hit in listed.hits] == ["a.jpg"]
        assert set(children_of(os.getpid())) <= before
