"""Where a page of failures begins, as `DeadLetters.list` takes it and gives it."""

import json

from miradouro.core.errors import InvalidArgument
from miradouro.core.query import MAX_LIMIT


def check_limit(limit: int) -> None:
    """Raises InvalidArgument unless a page of `limit` failures is allowed."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"{limit} is not within 1 to {MAX_LIMIT:,}")


def token_of(collection: str, photo_id: str) -> str:
    """The token of the page behind this failure."""
    return json.dumps([collection, photo_id])


def place_of(token: str) -> tuple[str, str] | None:
    """The collection and photo id that a page stands behind, None for the first page. Raises InvalidArgument."""
    if not token:
        return None
    wrong = InvalidArgument("page_token", f"{token!r} is no token of an earlier page; leave it out to begin again")
    try:
        collection, photo_id = json.loads(token)
    except (ValueError, TypeError) as exc:
        raise wrong from exc
    if not isinstance(collection, str) or not isinstance(photo_id, str):
        raise wrong
    return collection, photo_id
