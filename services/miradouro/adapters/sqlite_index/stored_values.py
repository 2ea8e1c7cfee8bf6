"""Checks that every value of a database is one that this program writes: reads it once, row by row, in bounded memory.

SQLite checks types and NOT NULL before (`PRAGMA integrity_check` over STRICT tables).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import StoredSpace
from miradouro.adapters.sqlite_index.rows import DOCUMENT_COLUMNS, document_of, origin_of, space_of
from miradouro.adapters.sqlite_index.vectors.arrays import stored_bytes, stored_of
from miradouro.core.document import Document, Origin
from miradouro.core.error_text import shown
from miradouro.core.errors import Corrupt, MiradouroError
from miradouro.core.event import (
    MAX_ATTRIBUTE_NAME_CHARS,
    MAX_ATTRIBUTE_VALUE_CHARS,
    MAX_CAPTION_CHARS,
    MAX_PHOTO_ID_BYTES,
    MAX_TAG_CHARS,
    MAX_URI_BYTES,
    MAX_VERSION,
    EventKind,
    PhotoEvent,
    check_collection,
    check_event,
)
from miradouro.core.microseconds import from_microseconds, local_microseconds
from miradouro.core.photo_names import file_name_of
from miradouro.core.spaces import Region, Space, Storage
from miradouro.core.storable import check_vectors

_MOST_ROW_ID = 2**48  # graphs multiply row ids by 16
_MOST_ROOT_BYTES = 4_096
_MOST_JSON_BYTES = 4 << 20  # a body with the longest texts, names and tags
_MOST_EVENT_BYTES, _MOST_FAILURE_BYTES = 4 << 20, 1 << 20
_REASON = re.compile(r"[a-z0-9_]{1,100}", re.ASCII)
_MOST_DIMENSION = 65_536
_MOST_REGIONS = 16
_VECTORS_AT_ONCE_BYTES = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HASH16 = re.compile(r"([0-9a-f]{16})?", re.ASCII)
_MOST_STEPS = 100  # of a parent above a label
_FOLDING = 4  # folding turns a character into at most so many

# Message → SQL for rows that this program never writes. Counts first: the other checks read whole tables.
_NEVER = {
    "the number of a row is out of range": f"SELECT seq FROM sqlite_sequence WHERE seq > {_MOST_ROW_ID} OR seq < 0",
    "a photo has a row number that was never assigned": "SELECT row_id FROM documents WHERE row_id < 1 OR row_id > "
    "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'documents'), 0)",
    "a photo belongs to no collection": "SELECT row_id FROM documents LEFT JOIN collections c USING (collection_id) "
    "WHERE c.name IS NULL",
    "a space belongs to no collection": "SELECT space_id FROM spaces LEFT JOIN collections c USING (collection_id) "
    "WHERE c.name IS NULL",
    "a photo's change is not one of its collection's": "SELECT row_id FROM documents JOIN collections USING (collection_id) "
    "WHERE change < 1 OR change > last_change",
    "a collection counts other photos than it has": "SELECT c.name FROM collections c LEFT JOIN (SELECT collection_id, "
    "sum(deleted = 0) AS live, sum(deleted) AS gone FROM documents GROUP BY collection_id) USING (collection_id) "
    "WHERE (photos, c.deleted) IS NOT (coalesce(live, 0), coalesce(gone, 0))",
    "a photo that was deleted has texts": "SELECT row_id FROM documents JOIN bodies USING (row_id) WHERE deleted <> 0",
    "a photo has no texts": "SELECT row_id FROM documents LEFT JOIN bodies b USING (row_id) WHERE deleted = 0 AND body IS NULL",
    "texts belong to no photo": "SELECT row_id FROM bodies LEFT JOIN documents d USING (row_id) WHERE d.photo_id IS NULL",
    "a text of a photo is too long": f"SELECT row_id FROM bodies WHERE octet_length(body) > {_MOST_JSON_BYTES}",
    "a tag is of no photo, too long or not between 0 and 1": "SELECT label FROM tags t LEFT JOIN documents d USING (row_id) "
    "WHERE d.collection_id IS NOT t.collection_id OR d.deleted <> 0 OR length(label) NOT BETWEEN 1 AND "
    f"{_FOLDING * MAX_TAG_CHARS} OR NOT score BETWEEN 0 AND 1",
    "an attribute is of no photo or too long": "SELECT name FROM attributes a LEFT JOIN documents d USING (row_id) "
    "WHERE d.collection_id IS NOT a.collection_id OR d.deleted <> 0 OR length(name) NOT BETWEEN 1 AND "
    f"{MAX_ATTRIBUTE_NAME_CHARS} OR length(value) > {MAX_ATTRIBUTE_VALUE_CHARS}",
}
_MOST_INODE = 2**64 - 1


def check_values(connection: apsw.Connection) -> None:
    """Raises Corrupt, which names the first value that this program never writes."""
    with _corrupt_at("a text"):  # invalid UTF-8 shows when its row is read
        _need(connection.execute("SELECT count(*) FROM store").get == 1, "the database has not one name")
        for what, sql in _NEVER.items():
            if (row := connection.execute(f"{sql} LIMIT 1").fetchone()) is not None:
                raise _corrupt(f"{what}: {shown(row[0])}")
        collections = _check_collections(connection)
        for stored, photos, collection_id in _spaces(connection):
            _check_vectors(connection, stored, photos, collection_id)
        _check_documents(connection, collections)
        for texts in connection.execute("SELECT label, '' FROM tags UNION ALL SELECT name, value FROM attributes"):
            _need(len(texts) == 2, "a tag or attribute")
        _check_failures(connection)


class _Wrong(Exception):
    pass


@contextmanager
def _corrupt_at(where: str) -> Iterator[None]:
    """Raises Corrupt, which names `where`, instead of the errors that a wrong value causes."""
    try:
        yield
    except Corrupt:
        raise
    except (_Wrong, MiradouroError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as exc:
        text = f"it lacks {exc}" if isinstance(exc, KeyError) else str(exc)
        raise _corrupt(f"{where}: {text}") from exc


def _corrupt(what: str) -> Corrupt:
    return Corrupt(f"the snapshot holds what this program never writes: {what}; restore one that you trust, or index anew")


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise _Wrong(what)


def _check_collections(connection: apsw.Connection) -> dict[int, str]:
    names = {}
    rows: Iterator[Any] = connection.execute(
        "SELECT collection_id, substr(name, 1, 100), substr(root, 1, 5000), last_change, photos, deleted FROM collections"
    )
    for collection_id, name, root, last_change, photos, deleted in rows:
        with _corrupt_at(f"collection {shown(name)}"):
            check_collection(name)
            _need(not root or (root.startswith("/") and "\0" not in root), f"its folder {shown(root)} is no absolute path")
            _need(len(root.encode()) <= _MOST_ROOT_BYTES, "its folder's path is too long")
            _need(1 <= collection_id <= _MOST_ROW_ID and 0 <= last_change <= MAX_VERSION, "its numbers are not in range")
            _need(photos >= 0 and deleted >= 0, "its numbers are not in range")
            names[collection_id] = name
    return names


def _spaces(connection: apsw.Connection) -> Iterator[tuple[StoredSpace, int, int]]:
    """Each space, its count of photos, and the id of its collection."""
    rows: list[Any] = connection.execute(
        f"SELECT space_id, collection_id, substr(definition, 1, {_MOST_JSON_BYTES}), photos FROM spaces ORDER BY space_id"
    ).fetchall()
    for space_id, collection_id, definition, photos in rows:
        with _corrupt_at(f"space {space_id}"):
            space = space_of(definition)
            _check_space(space)
            _need(1 <= space_id <= _MOST_ROW_ID, "its number is not in range")
        yield StoredSpace(space_id, space), photos, collection_id


def _check_space(space: Space) -> None:
    for text in (space.bundle, space.layer, space.pooling, space.provenance):
        _need(isinstance(text, str) and len(text) <= 256 and text.isprintable(), f"{shown(text)} is no name")
    _need(type(space.dimension) is int and 1 <= space.dimension <= _MOST_DIMENSION, f"dimension {shown(space.dimension)}")
    _need(type(space.is_default_pooling) is bool, "a flag is neither true nor false")
    _need(len(space.regions) <= _MOST_REGIONS, f"{len(space.regions)} regions")
    is_clip = isinstance(space.clip, int | float) and (0 < space.clip <= 1 if space.storage is Storage.INT8 else space.clip == 0)
    _need(is_clip, f"clip {shown(space.clip)} for {space.storage}")
    for box in space.regions:
        _check_region(box)


def _check_region(box: Region) -> None:
    sides = (box.x, box.y, box.width, box.height)
    _need(all(isinstance(side, int | float) and 0 <= side <= 1 for side in sides), f"a region of {shown(repr(sides))}")


def _check_vectors(connection: apsw.Connection, stored: StoredSpace, photos: int, collection_id: int) -> None:
    """Every vector has the space's shape and length 1, or codes, and belongs to a live photo of the collection."""
    space, table = stored.space, f"vectors_{stored.space_id:d}"
    size = stored_bytes(space.storage) * space.vectors_per_photo * space.dimension
    with _corrupt_at(f"space {shown(space.name)}"):
        wrong = connection.execute(
            f"SELECT v.row_id FROM {table} v LEFT JOIN documents d USING (row_id) "
            "WHERE d.collection_id IS NOT ? OR d.deleted <> 0 OR length(vectors) <> ? LIMIT 1",
            (collection_id, size),
        ).get
        _need(wrong is None, f"vectors of photo {wrong} are of another length, or of no photo")
        _need(photos == connection.execute(f"SELECT count(*) FROM {table}").get, "it counts other photos than it has")
        at_once = max(1, _VECTORS_AT_ONCE_BYTES // size)
        rows = connection.execute(f"SELECT vectors FROM {table}")
        while batch := [row[0] for _, row in zip(range(at_once), rows, strict=False)]:
            vectors = stored_of(b"".join(batch), space.storage).reshape(-1, space.dimension)
            check_vectors(vectors, (len(batch) * space.vectors_per_photo, space.dimension), space.storage, field="vectors")


def _check_documents(connection: apsw.Connection, collections: dict[int, str]) -> None:
    rows: Iterator[Any] = connection.execute(
        "SELECT collection_id, CASE WHEN octet_length(photo_id) <= 4096 THEN photo_id ELSE '' END, version, deleted, "
        "octet_length(sha256) + octet_length(owner) + octet_length(file_name) + coalesce(octet_length(origin), 0), row_id "
        "FROM documents ORDER BY row_id"
    )
    for collection_id, photo_id, version, deleted, size, row_id in rows:
        with _corrupt_at(f"photo {shown(photo_id)}"):
            _need(1 <= len(photo_id.encode()) <= MAX_PHOTO_ID_BYTES, f"its id, of row {row_id}, has a wrong length")
            _need(1 <= version <= MAX_VERSION and deleted in (0, 1), "its version is not in range")
            _need(size <= 16_384, "its texts are too long")
            if not deleted:
                _check_document(connection, collections[collection_id], row_id)


def _check_document(connection: apsw.Connection, collection: str, row_id: int) -> None:
    row: Any = connection.execute(
        f"SELECT {DOCUMENT_COLUMNS}, d.file_name, d.taken_local_us FROM documents d JOIN bodies b USING (row_id) "
        "WHERE d.row_id = ?",
        (row_id,),
    ).fetchone()
    *columns, file_name, taken_local_us = row
    document = document_of(collection, columns)
    # Empty: the pipeline had no step `fingerprint`.
    _need(not document.sha256 or _SHA256.fullmatch(document.sha256) is not None, f"its SHA-256 is {shown(document.sha256)}")
    _need(file_name == file_name_of(document.photo_id), f"its file name is {shown(file_name)}")
    _check_body(document)
    local_us = None if document.taken_at is None else local_microseconds(document.taken_at.local)
    _need(taken_local_us == local_us, f"its local time is {shown(taken_local_us)}")
    check_event(
        PhotoEvent(
            event_id="restored",
            kind=EventKind.UPLOADED,
            collection=collection,
            photo_id=document.photo_id,
            version=document.version,
            uri=document.uri,
            data=None if document.uri else b"",
            title=document.title,
            caption=document.caption,
            owner=document.owner,
            place=document.place,
            taken_at=document.taken_at,
        )
    )
    if document.origin is not None:
        _check_origin(document.origin)


def _check_body(document: Document) -> None:
    _check_text("its URI", document.uri, MAX_URI_BYTES)
    _check_text("its media type", document.media_type, 256)
    _check_text("its perceptual hash", document.perceptual_hash, 16)
    _check_text("its title or caption", document.title, MAX_CAPTION_CHARS)
    _check_text("its title or caption", document.caption, MAX_CAPTION_CHARS)
    _need(not any(character in document.uri for character in "\0\r\n"), "its URI holds a control character")
    _need(_HASH16.fullmatch(document.perceptual_hash) is not None, f"its perceptual hash is {shown(document.perceptual_hash)}")
    sides = (document.width, document.height)
    _need(all(type(side) is int and 0 <= side <= 2**31 for side in sides), f"its sides are {shown(repr(sides))}")
    _need(type(document.caption_is_generated) is bool, "a flag is neither true nor false")
    offset = document.taken_at.utc_offset_minutes if document.taken_at else None
    _need(offset is None or type(offset) is int, f"its UTC offset is {shown(offset)}")
    for tag in document.tags:
        _check_text("a tag", tag.label, _FOLDING * MAX_TAG_CHARS)
        _need(type(tag.score) in (int, float) and 0 <= tag.score <= 1, f"a tag's probability is {shown(tag.score)}")
        _need(type(tag.steps) is int and 0 <= tag.steps <= _MOST_STEPS, f"a tag's steps are {shown(tag.steps)}")
    _need(isinstance(document.attributes, dict), "its attributes are none")
    for name, value in document.attributes.items():
        _check_text("an attribute's name", name, MAX_ATTRIBUTE_NAME_CHARS)
        _check_text(f"its attribute {shown(name)}", value, MAX_ATTRIBUTE_VALUE_CHARS)


def _check_text(what: str, text: object, most_chars: int) -> None:
    if not isinstance(text, str) or len(text) > most_chars:
        raise _Wrong(f"{what} is {shown(text)}; allowed: {most_chars:,} characters")
    text.encode()  # raises on a lone surrogate, which JSON may hold


def _check_origin(origin: Origin) -> None:
    numbers = (origin.size_bytes, origin.mtime_ns, origin.ctime_ns, origin.inode)
    _need(all(type(number) is int and abs(number) <= _MOST_INODE for number in numbers), "its file's state is no number")
    for digest in (origin.sidecars_state, origin.sidecars_sha256):
        _need(not digest or _SHA256.fullmatch(digest) is not None, "the SHA-256 of its sidecars is none")


def _check_failures(connection: apsw.Connection) -> None:
    """Failures hold any text of a bounded length: an event may be refused because of its names."""
    rows: Iterator[Any] = connection.execute(
        "SELECT octet_length(collection) + octet_length(photo_id) + octet_length(message) + octet_length(uri) "
        "+ coalesce(octet_length(origin), 0), "
        f"octet_length(event), version, substr(reason, 1, 101), failed_at_us, substr(photo_id, 1, {_MOST_FAILURE_BYTES}), "
        f"substr(collection || message || uri, 1, {_MOST_FAILURE_BYTES}), substr(origin, 1, {_MOST_FAILURE_BYTES}) FROM failures"
    )
    for text_bytes, event_bytes, version, reason, failed_at_us, photo_id, _, origin in rows:
        with _corrupt_at(f"failure of {shown(photo_id)}"):
            _need(text_bytes <= _MOST_FAILURE_BYTES and event_bytes <= _MOST_EVENT_BYTES, "it is too long")
            _need(0 <= version <= MAX_VERSION, f"its version is {version}")
            _need(_REASON.fullmatch(reason) is not None, f"its reason is {shown(reason)}")
            from_microseconds(failed_at_us)
            if (state := origin_of(origin)) is not None:
                _check_origin(state)
