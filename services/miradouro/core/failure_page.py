"""Page tokens of `DeadLetters.list`."""

import json

import orjson

from miradouro.core.errors import InvalidArgument
from miradouro.core.query import MAX_LIMIT

MAX_TOKEN_CHARS = 8_192  # room for a photo id of 1,024 escaped bytes and the name of its collection
_SHOWN_CHARS = 80


def check_limit(limit: int) -> None:
    """Raises InvalidArgument unless a page of `limit` failures is allowed."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"{limit} is not within 1 to {MAX_LIMIT:,}")


def token_of(collection: str, photo_id: str) -> str:
    """The token of the page that begins after this failure."""
    return json.dumps([collection, photo_id])


def position_of(token: str) -> tuple[str, str] | None:
    """The collection and photo id of the last failure before the page, None for the first page. Raises InvalidArgument."""
    if not token:
        return None
    wrong = InvalidArgument(
        "page_token", f"{token[:_SHOWN_CHARS]!r} is not a token of an earlier page; leave it out to begin again"
    )
    if len(token) > MAX_TOKEN_CHARS:
        raise wrong
    try:
        position = orjson.loads(token)  # refuses deep nesting and lone surrogates, which `json` would pass on to the index
    except ValueError as exc:
        raise wrong from exc
    match position:
        case [str(collection), str(photo_id)]:
            return collection, photo_id
        case _:
            raise wrong
