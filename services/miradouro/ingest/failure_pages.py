"""Reads all failures, a page at a time."""

from collections.abc import Iterator, Sequence

from miradouro.core.document import Failure
from miradouro.core.failure_page import token_of
from miradouro.core.ports import DeadLetters
from miradouro.core.query import MAX_LIMIT


def failure_pages(dead_letters: DeadLetters, collection: str) -> Iterator[Sequence[Failure]]:
    """The failures of a collection, of every one when empty, ordered by collection and photo id."""
    after = ""
    while True:
        failures, after = dead_letters.list(collection=collection, limit=MAX_LIMIT, after=after)
        yield failures
        if not after:
            return


def failures_within(dead_letters: DeadLetters, collection: str, within: str) -> Iterator[Failure]:
    """The failures of a collection whose photo ids begin with `within` and are longer, ordered by photo id."""
    after = token_of(collection, within)
    while True:
        failures, after = dead_letters.list(collection=collection, limit=MAX_LIMIT, after=after)
        for failure in failures:
            if not failure.photo_id.startswith(within):
                return
            yield failure
        if not after:
            return
