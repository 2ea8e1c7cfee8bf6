"""What is remembered of the photos of a folder, without their documents."""

from collections.abc import Iterator, Sequence
from typing import Any

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.connections import Connections, Reader
from miradouro.adapters.sqlite_index.rows import origin_of
from miradouro.core.ports import MAX_SAME_BYTES, OriginState

_PAGE = 1_000
_SELECT = "SELECT photo_id, version, deleted, sha256, origin FROM documents WHERE collection_id = ? AND"


def of_collection(connections: Connections, collection: Collection, within: str) -> Iterator[OriginState]:
    """The states of photos whose ids begin with `within`, by id.

    They are read by pages: one long transaction would hold the log back while writes go on.
    """
    last, comparison = within, ">="
    while True:
        with connections.reading() as connection:
            page = _states(
                connection,
                f"{_SELECT} photo_id {comparison} ? ORDER BY photo_id LIMIT ?",
                (collection.collection_id, last, _PAGE),
            )
        for state in page:
            if not state.photo_id.startswith(within):
                return
            yield state
        if len(page) < _PAGE:
            return
        last, comparison = page[-1].photo_id, ">"


def of_photos(connection: Reader, collection: Collection, photo_ids: Sequence[str]) -> list[OriginState]:
    """The states of these photos."""
    found = []
    for photo_id in photo_ids:
        found += _states(connection, f"{_SELECT} photo_id = ?", (collection.collection_id, photo_id))
    return found


def of_bytes(connection: Reader, collection: Collection, sha256: str) -> list[OriginState]:
    """The states of live photos with these bytes, at most MAX_SAME_BYTES."""
    sql = f"{_SELECT} sha256 = ? AND deleted = 0 LIMIT ?"
    return _states(connection, sql, (collection.collection_id, sha256, MAX_SAME_BYTES))


def _states(connection: Reader, sql: str, bindings: Sequence[Any]) -> list[OriginState]:
    return [
        OriginState(photo_id, version, bool(deleted), sha256, origin_of(origin))
        for photo_id, version, deleted, sha256, origin in connection.execute(sql, bindings)
    ]
