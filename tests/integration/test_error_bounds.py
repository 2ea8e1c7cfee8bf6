"""Errors of the doors stay small, whatever the request holds."""

from collections.abc import Iterator

import pytest

from tests.http_fixture import Door, open_door

HUGE = "x" * 300_000
MAX_BODY_BYTES = 1_500  # an error of 1 kB, its field, and JSON around them


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("ingest")) as opened:
        yield opened


@pytest.mark.parametrize(
    "question",
    [
        {"collection": HUGE, "everything": {}},
        {"space": HUGE, "like": {"photoId": "a.jpg"}},
        {"like": {"photoId": HUGE}},
        {"keyword": {"words": [HUGE]}},
        {"text": {"text": "-" + HUGE}},
        {"everything": {}, "pageToken": HUGE},
        {"everything": {}, "filters": [{"tag": HUGE}]},
        {"everything": {}, "filters": [{"fileNamePrefix": "/" + HUGE}]},
        {HUGE: 1},
        {"everything": HUGE},
        {"limit": HUGE},
        {"photo": {"data": HUGE + "!"}},
        [HUGE],
        HUGE,
    ],
    ids=lambda question: str(question)[:30],
)
def test_an_http_error_is_small_for_any_request(door, question):
    answer = door.post("/v1/search", question)
    assert 400 <= answer.code < 500
    assert len(answer.body) <= MAX_BODY_BYTES
    assert 0 < len(answer.error["message"].encode()) <= 1_000


@pytest.mark.parametrize(
    "path", ["/v1/photos/photos/{}", "/v1/failures?page_token={}", "/v1/failures?collection={}", "/photos/photos/{}", "/{}"]
)
def test_an_error_of_a_long_path_is_small(door: Door, path: str) -> None:
    answer = door.get(path.format("%C3%A9" * 5_000))
    assert 400 <= answer.code < 500
    assert len(answer.body) <= MAX_BODY_BYTES


def test_an_error_of_a_long_header_is_small(door: Door) -> None:
    answer = door.get("/v1/stats", Host="x" * 5_000)
    assert (answer.code, len(answer.body) <= MAX_BODY_BYTES) == (421, True)
