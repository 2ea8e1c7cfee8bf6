"""Dead letters: the failures table."""

from collections.abc import Sequence
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.rows import origin_of, origin_text
from miradouro.core.document import Failure
from miradouro.core.failure_page import check_limit, position_of, token_of
from miradouro.core.microseconds import from_microseconds, microseconds

_PUT = """
INSERT INTO failures(collection, photo_id, version, reason, message, uri, failed_at_us, event, origin)
SELECT :collection, :photo_id, :version, :reason, :message, :uri, :failed_at_us, :event, :origin
WHERE NOT EXISTS (
    SELECT 1 FROM documents d JOIN collections c USING (collection_id)
    WHERE c.name = :collection AND d.photo_id = :photo_id AND d.version >= :version
)
ON CONFLICT(collection, photo_id) DO UPDATE SET
    version = excluded.version, reason = excluded.reason, message = excluded.message, uri = excluded.uri,
    failed_at_us = excluded.failed_at_us, event = excluded.event, origin = excluded.origin
WHERE excluded.version >= version
"""


def put(connection: apsw.Connection, failures: Sequence[Failure]) -> None:
    """Records failures. Skips those that are older than the stored version or the recorded failure of their photo."""
    connection.executemany(
        _PUT,
        [
            {
                "collection": failure.collection,
                "photo_id": failure.photo_id,
                "version": failure.version,
                "reason": failure.reason,
                "message": failure.message,
                "uri": failure.uri,
                "failed_at_us": microseconds(failure.failed_at, field="failed_at"),
                "event": failure.event,
                "origin": origin_text(failure.origin),
            }
            for failure in failures
        ],
    )


def page(connection: apsw.Connection, collection: str, limit: int, after: str) -> tuple[list[Failure], str]:
    """A page and the token of the next one; see `DeadLetters.list`."""
    check_limit(limit)
    last_collection, last_photo_id = position_of(after) or ("", "")
    rows: list[Any] = connection.execute(
        "SELECT collection, photo_id, version, reason, message, uri, failed_at_us, event, origin FROM failures "
        "WHERE (collection, photo_id) > (?, ?) AND (? = '' OR collection = ?) ORDER BY collection, photo_id LIMIT ?",
        (last_collection, last_photo_id, collection, collection, limit + 1),
    ).fetchall()
    found = [_failure(*row) for row in rows[:limit]]
    token = token_of(found[-1].collection, found[-1].photo_id) if len(rows) > limit else ""
    return found, token


def forget(connection: apsw.Connection, collection: str, photo_ids: Sequence[str]) -> None:
    """Removes failures: see `DeadLetters.forget`."""
    connection.executemany(
        "DELETE FROM failures WHERE collection = ? AND photo_id = ?", [(collection, photo_id) for photo_id in photo_ids]
    )


def _failure(*row: Any) -> Failure:
    collection, photo_id, version, reason, message, uri, failed_at_us, event, origin = row
    failed_at = from_microseconds(failed_at_us)
    return Failure(collection, photo_id, version, reason, message, uri, failed_at, event, origin=origin_of(origin))
