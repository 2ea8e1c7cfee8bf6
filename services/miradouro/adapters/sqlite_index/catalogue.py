"""Collections and their spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.rows import space_of, space_text
from miradouro.adapters.sqlite_index.schema import create_text_tables, create_vector_table
from miradouro.core.error_text import shown
from miradouro.core.errors import NotFound
from miradouro.core.event import check_collection
from miradouro.core.ports import CollectionStats, SpaceStats
from miradouro.core.spaces import Space, resolve_space
from miradouro.core.storable import check_same_spaces, more_than, other_root


@dataclass(frozen=True)
class StoredSpace:
    """A space, and the id that names its table and its segments."""

    space_id: int
    space: Space


@dataclass(frozen=True)
class Collection:
    """A collection as a transaction sees it; `last_change` is the number of its latest write."""

    collection_id: int
    name: str
    root: str
    last_change: int
    photos: int
    deleted: int


class Catalogue:
    """Reads and makes collections. Keeps spaces in memory: they never change, and their ids are never reused."""

    def __init__(self) -> None:
        self._spaces: dict[int, tuple[StoredSpace, ...]] = {}
        self._store = ""

    def store(self, connection: apsw.Connection) -> str:
        """The identity of the database."""
        if not self._store:
            self._store = str(connection.execute("SELECT identity FROM store").get)
        return self._store

    def find(self, connection: apsw.Connection, name: str) -> Collection:
        """The collection. Raises NotFound."""
        row: Any = connection.execute(
            "SELECT collection_id, name, root, last_change, photos, deleted FROM collections WHERE name = ?", (name,)
        ).get
        if row is None:
            known = connection.execute("SELECT group_concat(name, ', ') FROM (SELECT name FROM collections ORDER BY name)").get
            raise NotFound(f"collection {shown(name)} does not exist; there is {known or 'none yet: index some photos first'}")
        return Collection(*row)

    def spaces(self, connection: apsw.Connection, collection: Collection) -> tuple[StoredSpace, ...]:
        """The spaces of a collection, in the order of `ensure`."""
        found = self._spaces.get(collection.collection_id)
        if found is None:
            rows = connection.execute(
                "SELECT space_id, definition FROM spaces WHERE collection_id = ? ORDER BY space_id", (collection.collection_id,)
            )
            found = tuple(StoredSpace(space_id, space_of(text)) for space_id, text in rows)
            self._spaces[collection.collection_id] = found
        return found

    def space(self, connection: apsw.Connection, collection: Collection, name: str) -> StoredSpace:
        """The space named `name`. Raises InvalidArgument, which names the spaces of the collection."""
        stored = self.spaces(connection, collection)
        wanted = resolve_space(name, [one.space for one in stored])
        return next(one for one in stored if one.space == wanted)

    def ensure(self, connection: apsw.Connection, name: str, spaces: Sequence[Space], root: str, *, at_most: int) -> None:
        """Makes the collection, or checks that the existing one is the same; see `IndexAdmin.ensure_collection`."""
        check_collection(name)
        try:
            collection = self.find(connection, name)
        except NotFound:
            if connection.execute("SELECT count(*) FROM collections").get >= at_most:
                raise more_than(at_most, name) from None
            self._make(connection, name, spaces, root)
            return
        check_same_spaces(name, [one.space for one in self.spaces(connection, collection)], spaces)
        if root and root != collection.root:
            if collection.root or collection.photos or collection.deleted:
                raise other_root(name, collection.root, root)
            connection.execute("UPDATE collections SET root = ? WHERE collection_id = ?", (root, collection.collection_id))

    def stats(self, connection: apsw.Connection) -> list[CollectionStats]:
        """Every collection, by name."""
        found = []
        rows: list[Any] = connection.execute(
            "SELECT collection_id, name, root, last_change, photos, deleted FROM collections ORDER BY name"
        ).fetchall()
        for row in rows:
            collection = Collection(*row)
            failed = connection.execute("SELECT count(*) FROM failures WHERE collection = ?", (collection.name,)).get
            counts = dict(
                connection.execute("SELECT space_id, photos FROM spaces WHERE collection_id = ?", (collection.collection_id,))
            )
            spaces = tuple(
                SpaceStats(
                    one.space.name,
                    one.space.dimension,
                    one.space.provenance,
                    counts[one.space_id] * one.space.vectors_per_photo,
                    one.space.preset,
                )
                for one in self.spaces(connection, collection)
            )
            found.append(
                CollectionStats(collection.name, collection.root, collection.photos, collection.deleted, int(failed), spaces)
            )
        return found

    def _make(self, connection: apsw.Connection, name: str, spaces: Sequence[Space], root: str) -> None:
        connection.execute("INSERT INTO collections(name, root) VALUES (?, ?)", (name, root))
        collection_id = connection.last_insert_rowid()
        create_text_tables(connection, collection_id)
        for space in spaces:
            connection.execute("INSERT INTO spaces(collection_id, definition) VALUES (?, ?)", (collection_id, space_text(space)))
            space_id = connection.last_insert_rowid()
            create_vector_table(connection, space_id)
            connection.execute("INSERT INTO segments(space_id) VALUES (?)", (space_id,))
