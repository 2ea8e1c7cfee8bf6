"""Storing documents: one transaction, version-conditional, every table at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.rows import blob_of, body_of, origin_text
from miradouro.adapters.sqlite_index.schema import TEXT_TABLES
from miradouro.adapters.sqlite_index.tokenizer import TAG_BREAK
from miradouro.core.document import Document, Origin, ordered_tags
from miradouro.core.microseconds import local_microseconds, microseconds
from miradouro.core.photo_names import file_name_of
from miradouro.core.ports import WriteStatus
from miradouro.core.searched_texts import searched_texts
from miradouro.core.storable import check_storable
from miradouro.core.text import fold_tag


def write(connection: apsw.Connection, catalogue: Catalogue, documents: Sequence[Document]) -> list[WriteStatus]:
    """Stores documents inside the caller's transaction; see `PhotoIndex.write`."""
    batches: dict[str, _Batch] = {}
    for document in documents:
        if document.collection not in batches:
            collection = catalogue.find(connection, document.collection)
            batches[document.collection] = _Batch(connection, collection, catalogue.spaces(connection, collection))
    # Check everything before anything is stored: the batch is refused or stored as a whole.
    blobs = [batches[document.collection].checked(document) for document in documents]
    statuses = [batches[document.collection].store(document, vectors) for document, vectors in zip(documents, blobs, strict=True)]
    for batch in batches.values():
        batch.finish()
    return statuses


def refresh_origins(connection: apsw.Connection, catalogue: Catalogue, collection: str, origins: Mapping[str, Origin]) -> None:
    """Stores new file states of live photos; ignores unknown and deleted photos."""
    collection_id = catalogue.find(connection, collection).collection_id
    connection.executemany(
        "UPDATE documents SET origin = ? WHERE collection_id = ? AND photo_id = ? AND deleted = 0",
        [(origin_text(origin), collection_id, photo_id) for photo_id, origin in origins.items()],
    )


def add_tags(connection: apsw.Connection, collection_id: int, row_id: int, document: Document) -> None:
    """Stores the tags of a live document, and its texts, which contain them."""
    tags = ordered_tags(document.tags)
    scores: dict[str, float] = {}
    for tag in tags:
        label = fold_tag(tag.label)
        scores[label] = max(tag.searched_score, scores.get(label, 0.0))
    connection.executemany(
        "INSERT INTO tags(collection_id, label, row_id, score) VALUES (?, ?, ?, ?)",
        [(collection_id, label, row_id, float(score)) for label, score in scores.items()],
    )
    searched = searched_texts(
        tags, title=document.title, caption=document.caption, caption_is_generated=document.caption_is_generated
    )
    own, made = TAG_BREAK.join(searched.tags), TAG_BREAK.join(searched.made)
    rows = {
        "text(rowid, title, caption)": (searched.title, searched.caption),
        "own(rowid, tags)": (own,),
        "made(rowid, texts)": (made,),
        "words(rowid, words)": (TAG_BREAK.join((searched.title, searched.caption, own, made)),),
    }
    for table, texts in rows.items():
        if any(texts):
            sql = f"INSERT INTO {table.replace('(', f'_{collection_id:d}(')} VALUES ({', '.join('?' * (1 + len(texts)))})"
            connection.execute(sql, (row_id, *texts))


def remove_tags(connection: apsw.Connection, collection_id: int, row_id: int) -> None:
    """The inverse of `add_tags`."""
    connection.execute("DELETE FROM tags WHERE row_id = ?", (row_id,))
    for table in (*TEXT_TABLES, "words"):
        connection.execute(f"DELETE FROM {table}_{collection_id:d} WHERE rowid = ?", (row_id,))


class _Batch:
    """The documents of one collection within one transaction."""

    def __init__(self, connection: apsw.Connection, collection: Collection, spaces: Sequence[StoredSpace]) -> None:
        self._db = connection
        self._collection = collection
        self._id = collection.collection_id
        self._spaces = {space.space.name: space for space in spaces}
        self._change = collection.last_change
        self._photos = self._deleted = 0
        self._photos_by_space = dict.fromkeys((space.space_id for space in spaces), 0)

    def checked(self, document: Document) -> dict[int, bytes]:
        """The vectors as blobs, by space id. Raises InvalidArgument, ProvenanceMismatch."""
        check_storable(document, {name: stored.space for name, stored in self._spaces.items()})
        if document.deleted:
            return {}
        return {
            self._spaces[name].space_id: blob_of(vectors, self._spaces[name].space) for name, vectors in document.vectors.items()
        }

    def store(self, document: Document, vectors: Mapping[int, bytes]) -> WriteStatus:
        known = self._db.execute(
            "SELECT row_id, version, deleted, change FROM documents WHERE collection_id = ? AND photo_id = ?",
            (self._id, document.photo_id),
        ).get
        if known is not None and known[1] >= document.version:
            return WriteStatus.STALE
        self._change += 1
        columns = self._columns(document)
        if known is None:
            self._db.execute(
                f"INSERT INTO documents({', '.join(columns)}, collection_id, photo_id) "
                f"VALUES ({', '.join('?' * (len(columns) + 2))})",
                (*columns.values(), self._id, document.photo_id),
            )
            row_id = self._db.last_insert_rowid()
        else:
            row_id, _, was_deleted, replaced = known
            self._db.execute(
                f"UPDATE documents SET {', '.join(f'{name} = ?' for name in columns)} WHERE row_id = ?",
                (*columns.values(), row_id),
            )
            if was_deleted:
                self._deleted -= 1
            else:
                self._clear(row_id, replaced)
        if document.deleted:
            self._deleted += 1
        else:
            self._fill(row_id, document, vectors)
        self._db.execute(
            "DELETE FROM failures WHERE collection = ? AND photo_id = ? AND version <= ?",
            (document.collection, document.photo_id, document.version),
        )
        return WriteStatus.STORED

    def finish(self) -> None:
        """Stores the counts of the collection and its spaces."""
        if self._change == self._collection.last_change:
            return
        self._db.execute(
            "UPDATE collections SET last_change = ?, photos = photos + ?, deleted = deleted + ? WHERE collection_id = ?",
            (self._change, self._photos, self._deleted, self._id),
        )
        self._db.executemany(
            "UPDATE spaces SET photos = photos + ? WHERE space_id = ?",
            [(photos, space_id) for space_id, photos in self._photos_by_space.items() if photos],
        )

    def _columns(self, document: Document) -> dict[str, Any]:
        if document.deleted:  # a tombstone keeps the id and the version only
            document = Document(document.collection, document.photo_id, document.version, deleted=True)
        place, taken = document.place, document.taken_at
        return {
            "version": document.version,
            "deleted": int(document.deleted),
            "change": self._change,
            "sha256": document.sha256,
            "origin": origin_text(document.origin),
            "owner": document.owner,
            "file_name": "" if document.deleted else file_name_of(document.photo_id),
            "taken_us": microseconds(taken.instant, field="taken_at.instant") if taken else None,
            "taken_local_us": local_microseconds(taken.local) if taken else None,
            "latitude": place.latitude if place else None,
            "longitude": place.longitude if place else None,
        }

    def _clear(self, row_id: int, replaced: int) -> None:
        """Removes a live document from every table except documents; its change is superseded from now on."""
        self._photos -= 1
        self._db.execute(
            "INSERT INTO replaced(collection_id, change, by_change) VALUES (?, ?, ?)", (self._id, replaced, self._change)
        )
        for table in ("bodies", "attributes", "places"):
            self._db.execute(f"DELETE FROM {table} WHERE row_id = ?", (row_id,))
        remove_tags(self._db, self._id, row_id)
        for space_id in self._photos_by_space:
            self._db.execute(f"DELETE FROM vectors_{space_id:d} WHERE row_id = ?", (row_id,))
            self._photos_by_space[space_id] -= self._db.changes()

    def _fill(self, row_id: int, document: Document, vectors: Mapping[int, bytes]) -> None:
        self._photos += 1
        self._db.execute("INSERT INTO bodies(row_id, body) VALUES (?, ?)", (row_id, body_of(document)))
        self._db.executemany(
            "INSERT INTO attributes(collection_id, name, value, row_id) VALUES (?, ?, ?, ?)",
            [(self._id, name, value, row_id) for name, value in document.attributes.items()],
        )
        if document.place:
            latitude, longitude = document.place.latitude, document.place.longitude
            self._db.execute("INSERT INTO places VALUES (?, ?, ?, ?, ?)", (row_id, latitude, latitude, longitude, longitude))
        add_tags(self._db, self._id, row_id, document)
        for space_id, blob in vectors.items():
            self._db.execute(f"INSERT INTO vectors_{space_id:d}(row_id, vectors) VALUES (?, ?)", (row_id, blob))
            self._photos_by_space[space_id] += 1
