"""Keeping what could not be indexed: what `DeadLetters` promises whichever engine is behind it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from miradouro.core.document import Failure
from miradouro.core.errors import InvalidArgument
from miradouro.core.ports import DeadLetters

FAILED_AT = datetime(2024, 5, 1, 10, 0, 0, 250_000, tzinfo=UTC)


def failure(photo_id: str, version: int = 1, *, collection: str = "photos", message: str = "cut off") -> Failure:
    return Failure(
        collection, photo_id, version, "truncated", message, f"file:///{photo_id}", FAILED_AT + timedelta(seconds=version % 60)
    )


def everything(dead_letters: DeadLetters, *, collection: str = "", limit: int = 100) -> list[Failure]:
    found: list[Failure] = []
    after = ""
    while True:
        page, after = dead_letters.list(collection=collection, limit=limit, after=after)
        found += page
        if not after:
            return found


def test_nothing_failed_yet(dead_letters: DeadLetters) -> None:
    assert dead_letters.list() == ([], "")


def test_failures_come_back_as_they_were_put(dead_letters: DeadLetters) -> None:
    put = [failure("a b\n.jpg"), failure("é.jpg", 2**62, message="")]
    dead_letters.put(put)
    assert everything(dead_letters) == put


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_a_photo_keeps_its_newest_failure(dead_letters: DeadLetters, order: tuple[int, ...]) -> None:
    for version in order:
        dead_letters.put([failure("a.jpg", version, message=f"at {version}")])
    assert [(one.version, one.message) for one in everything(dead_letters)] == [(3, "at 3")]


def test_one_batch_may_hold_a_photo_twice(dead_letters: DeadLetters) -> None:
    dead_letters.put([failure("a.jpg", 2), failure("a.jpg", 5), failure("a.jpg", 3)])
    assert [one.version for one in everything(dead_letters)] == [5]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_join_seamlessly_by_collection_and_photo(dead_letters: DeadLetters, limit: int) -> None:
    dead_letters.put(
        [failure(name, collection=collection) for collection in ("second", "first") for name in ("z", "a", "é", '"]', "a/b")]
    )
    names = sorted(("z", "a", "é", '"]', "a/b"))
    assert [(one.collection, one.photo_id) for one in everything(dead_letters, limit=limit)] == [
        (collection, name) for collection in ("first", "second") for name in names
    ]
    assert [one.photo_id for one in everything(dead_letters, collection="second", limit=limit)] == names
    assert everything(dead_letters, collection="third", limit=limit) == []


@pytest.mark.parametrize("after", ["x", "[1, 2]", '["a"]', "{}", "5"])
def test_a_token_that_no_page_gave_is_refused(dead_letters: DeadLetters, after: str) -> None:
    with pytest.raises(InvalidArgument, match="page_token"):
        dead_letters.list(after=after)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_page_has_a_bounded_size(dead_letters: DeadLetters, limit: int) -> None:
    with pytest.raises(InvalidArgument, match=r"limit.*1 to 1,000"):
        dead_letters.list(limit=limit)


def test_forgotten_failures_are_gone_and_no_others(dead_letters: DeadLetters) -> None:
    dead_letters.put([failure("a.jpg"), failure("b.jpg"), failure("a.jpg", collection="trips")])
    dead_letters.forget("photos", ["a.jpg", "never.jpg"])
    assert [(one.collection, one.photo_id) for one in everything(dead_letters)] == [("photos", "b.jpg"), ("trips", "a.jpg")]


def test_a_failure_is_stored_with_its_event(dead_letters: DeadLetters) -> None:
    put = [replace(failure("a.jpg"), event=bytes(range(256))), failure("b.jpg")]
    dead_letters.put(put)
    assert everything(dead_letters) == put
    dead_letters.put([failure("a.jpg", 2)])
    assert [one.event for one in everything(dead_letters)] == [b"", b""]
