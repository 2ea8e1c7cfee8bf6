"""The vector indexes of a data folder, one for each space."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import apsw

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.changelog import SpaceChangelog, transactions_of
from miradouro.adapters.sqlite_index.connections import Connections, Reader
from miradouro.adapters.sqlite_index.vectors.index import Opened, VectorIndex, remove_other_files
from miradouro.adapters.sqlite_index.vectors.searcher import Searcher
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, Unusable
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning
from miradouro.core.errors import MiradouroError

_SEGMENTS_FOLDER = "segments"
_OPEN_ATTEMPTS = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenSpace:
    """A space as one transaction sees it."""

    collection: Collection
    space: StoredSpace
    index: VectorIndex
    changelog: SpaceChangelog
    searcher: Searcher


@dataclass(frozen=True)
class _Remembered:
    """What `begin` found on a connection while its database had this version; the index keeps the searcher alive."""

    version: int
    collection: Collection
    space: StoredSpace
    index: VectorIndex
    searcher: ReferenceType[Searcher]


class VectorSpaces:
    """Opens, searches and maintains the vector index of every space. Thread-safe."""

    def __init__(self, folder: Path, connections: Connections, catalogue: Catalogue, tuning: Tuning) -> None:
        self._folder = folder / _SEGMENTS_FOLDER
        self._connections = connections
        self._catalogue = catalogue
        self._tuning = tuning
        self._indexes: dict[int, VectorIndex] = {}  # by space id
        self._of_name: dict[str, list[tuple[StoredSpace, VectorIndex]]] = {}  # collections keep their spaces
        self._lock = threading.Lock()

    def begin(self, connection: Reader, name: str, space_name: str) -> OpenSpace:
        """Begins the one transaction that answers a query, and opens the space in it; `Connections.reading` ends it.

        Raises NotFound (collection), InvalidArgument (space).
        """
        connection.execute("BEGIN")
        version = _version(connection)
        known = connection.remembered.get((name, space_name))
        if isinstance(known, _Remembered) and known.version == version:
            searcher = known.searcher()
            if searcher is not None and searcher.is_complete():
                return _opened(connection, known.collection, known.space, known.index, searcher)
        connection.execute("ROLLBACK")
        found = self._begin_anew(connection, name, space_name)
        connection.remembered[name, space_name] = _Remembered(
            _version(connection), found.collection, found.space, found.index, ref(found.searcher)
        )
        return found

    def add(self, name: str) -> bool:
        """Appends what was committed to the spaces of a collection; returns False when files have to be rebuilt.

        Other failures are logged: the maintenance and the next commit try again.
        """
        is_usable = True
        try:
            for space, index in self._of_collection(name):
                try:
                    index.add()
                except Unusable as exc:
                    _log.info("the growing segment of %s has to be rebuilt: %s", space.space.name, exc)
                    is_usable = False
        except (MiradouroError, OSError) as exc:
            _log.warning("segments of collection %s stay behind: %s", name, exc)
        return is_usable

    def all(self) -> list[VectorIndex]:
        """The index of every space of every collection."""
        with self._connections.reading() as connection:
            names = [str(name) for (name,) in connection.execute("SELECT name FROM collections ORDER BY name").fetchall()]
        return [index for name in names for _, index in self._of_collection(name)]

    def remove_other_files(self) -> None:
        """Removes files that belong to no segment."""
        with self._connections.reading() as connection:
            rows: list[Any] = connection.execute("SELECT segment_id FROM segments").fetchall()
        remove_other_files(self._folder, [segment_id for (segment_id,) in rows])

    def close(self) -> None:
        """Releases every mapped file."""
        with self._lock:
            for index in self._indexes.values():
                index.close()

    def _of_collection(self, name: str) -> list[tuple[StoredSpace, VectorIndex]]:
        found = self._of_name.get(name)
        if found is None:
            with self._connections.reading() as connection:
                collection = self._catalogue.find(connection, name)
                spaces = self._catalogue.spaces(connection, collection)
                found = [(space, self._index(connection, collection, space)) for space in spaces]
            self._of_name[name] = found
        return found

    def _index(self, connection: apsw.Connection, collection: Collection, space: StoredSpace) -> VectorIndex:
        with self._lock:
            index = self._indexes.get(space.space_id)
            if index is None:
                identity = Identity.of(self._catalogue.store(connection), collection.name, space.space)
                transactions = transactions_of(self._connections, collection.collection_id, space.space_id)
                index = VectorIndex(self._folder, space.space_id, identity, transactions, self._tuning)
                self._indexes[space.space_id] = index
            return index

    def _begin_anew(self, connection: Reader, name: str, space_name: str) -> OpenSpace:
        collection = self._catalogue.find(connection, name)
        space = self._catalogue.space(connection, collection, space_name)
        index = self._index(connection, collection, space)
        changelog = SpaceChangelog(connection, collection.collection_id, space.space_id)
        opened = Opened()
        for _ in range(_OPEN_ATTEMPTS):
            opened = index.open(changelog.segments())  # outside the transaction: see there
            connection.execute("BEGIN")
            if opened.is_current(changelog):
                break
            connection.execute("ROLLBACK")
        else:
            opened = Opened()
            connection.execute("BEGIN")
        collection = self._catalogue.find(connection, name)
        return _opened(connection, collection, space, index, index.searcher(changelog, opened))


def _opened(connection: Reader, collection: Collection, space: StoredSpace, index: VectorIndex, searcher: Searcher) -> OpenSpace:
    changelog = SpaceChangelog(connection, collection.collection_id, space.space_id)
    return OpenSpace(collection, space, index, changelog, searcher)


def _version(connection: apsw.Connection) -> int:
    """A number that changes, on this connection, with every commit of another one."""
    return int(connection.execute("PRAGMA data_version").get)
