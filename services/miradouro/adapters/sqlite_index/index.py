"""The embedded index: a data folder with one database, the truth, and vector segments derived from it."""

import builtins
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from miradouro.adapters.sqlite_index import facets, failures, states, tagged, writes
from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection
from miradouro.adapters.sqlite_index.connections import Connections, Reader
from miradouro.adapters.sqlite_index.data_folder import make_data_folder
from miradouro.adapters.sqlite_index.driver_errors import translated
from miradouro.adapters.sqlite_index.filter_cache import FilterCache
from miradouro.adapters.sqlite_index.listing import everything
from miradouro.adapters.sqlite_index.maintenance import Maintenance
from miradouro.adapters.sqlite_index.ranking import Ranking, matches
from miradouro.adapters.sqlite_index.rows import DOCUMENT_COLUMNS, document_of, vectors_of
from miradouro.adapters.sqlite_index.schema import check_format, create_tables, holds_index, write_format
from miradouro.adapters.sqlite_index.schema_check import check_schema
from miradouro.adapters.sqlite_index.vector_search import by_vector
from miradouro.adapters.sqlite_index.vector_spaces import VectorSpaces
from miradouro.adapters.sqlite_index.vectors.tuning import DEFAULT_TUNING, Tuning
from miradouro.adapters.sqlite_index.vocabularies import Vocabularies
from miradouro.adapters.sqlite_index.word_search import by_keyword, by_text
from miradouro.adapters.sqlite_index.writer_lock import WriterLock
from miradouro.core.document import Document, Failure, Origin, Vectors
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument, NotFound
from miradouro.core.ports import MAX_COLLECTIONS, CollectionStats, OriginState, TagChange, TaggedPhoto, WriteStatus
from miradouro.core.query import (
    MAX_RANKED,
    EverythingClause,
    FacetCounts,
    IndexQuery,
    KeywordClause,
    Matches,
    TextClause,
    VectorClause,
)
from miradouro.core.spaces import Space
from miradouro.core.understood import Vocabulary


class SqliteIndex:
    """PhotoIndex, IndexAdmin and DeadLetters over one data folder. Thread-safe.

    One process writes, any number read. A commit is durable, and visible to all of them at once. Close it, or use it as a context
    manager.
    """

    def __init__(self, folder: Path, connections: Connections, lock: WriterLock | None, tuning: Tuning) -> None:
        """Use `open`."""
        self._tuning = tuning
        self._folder = folder
        self._connections = connections
        self._lock = lock
        self._catalogue = Catalogue()
        self._spaces = VectorSpaces(folder, connections, self._catalogue, tuning)
        self._filters = FilterCache(tuning.filter_cache_bytes)
        self._vocabularies = Vocabularies()
        self._maintenance = Maintenance(self._spaces) if lock else None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        writer: bool,
        max_bytes: int | None = None,
        tuning: Tuning = DEFAULT_TUNING,
        will_serve: bool = False,
    ) -> Self:
        """Opens the data folder. A writer makes a missing one, private to its owner.

        `max_bytes` bounds the database, without segments and log; writes beyond it raise Unavailable. With `will_serve` other
        processes wait for `set_address`. Raises StoreLocked (a second writer), FailedPrecondition
        (another format; another user's folder), NotFound (nothing to read), Corrupt, Unavailable.
        """
        with translated(folder):
            if writer:
                make_data_folder(folder)
            elif not holds_index(folder):
                raise NotFound(f"{folder} holds no index; index some photos into it first, or name another folder (--data)")
            check_format(folder)
            lock = WriterLock(folder, will_serve=will_serve) if writer else None
            try:
                connections = Connections(folder, writer=writer, max_bytes=max_bytes)
                try:
                    index = cls(folder, connections, lock, tuning)
                    index._start()
                except BaseException:
                    connections.close()
                    raise
            except BaseException:
                if lock is not None:
                    lock.release()
                raise
            return index

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes files and connections, and releases the writer's lock. Safe to call twice."""
        if self._maintenance is not None:
            self._maintenance.close()
        self._spaces.close()
        self._connections.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def is_writer(self) -> bool:
        """Whether this object may write to the data folder."""
        return self._lock is not None

    def check(self) -> None:
        """See `Index.check`."""
        with self._connections.reading() as connection:
            connection.execute("SELECT 1").fetchall()

    def set_address(self, address: str) -> None:
        """Publishes this writer's host:port to other processes, in the lock file."""
        if self._lock is not None:
            self._lock.set_address(address)

    def write(self, documents: Sequence[Document]) -> builtins.list[WriteStatus]:
        """See `PhotoIndex.write`: one durable commit for all documents."""
        with self._connections.writing() as connection:
            statuses = writes.write(connection, self._catalogue, documents)
        if self._maintenance is not None:
            are_usable = [self._spaces.add(name) for name in sorted({document.collection for document in documents})]
            self._maintenance.note(len(documents), at_once=not all(are_usable))
        return statuses

    def settle(self, timeout_s: float | None = None) -> bool:
        """Waits until the background work that is due is done: sealing, merging, rebuilding. Returns False on timeout.

        For tests and measurements: answers are right without it. A reader returns at once.
        """
        return self._maintenance is None or self._maintenance.settle(timeout_s)

    def refresh_origins(self, collection: str, origins: dict[str, Origin]) -> None:
        """See `PhotoIndex.refresh_origins`."""
        with self._connections.writing() as connection:
            writes.refresh_origins(connection, self._catalogue, collection, origins)

    def origins(self, collection: str, *, within: str = "") -> Iterator[OriginState]:
        """See `PhotoIndex.origins`: read by pages, so that no long transaction holds the log back while writes go on."""
        with self._connections.reading() as connection:
            found = self._catalogue.find(connection, collection)
        return states.of_collection(self._connections, found, within)

    def states(self, collection: str, photo_ids: Sequence[str]) -> Sequence[OriginState]:
        """See `PhotoIndex.states`."""
        with self._connections.reading() as connection:
            return states.of_photos(connection, self._catalogue.find(connection, collection), photo_ids)

    def same_bytes(self, collection: str, sha256: str) -> Sequence[OriginState]:
        """See `PhotoIndex.same_bytes`."""
        with self._connections.reading() as connection:
            return states.of_bytes(connection, self._catalogue.find(connection, collection), sha256)

    def tagged(self, collection: str, space: str) -> Iterator[TaggedPhoto]:
        """See `PhotoIndex.tagged`."""
        with self._connections.reading() as connection:
            found = self._catalogue.find(connection, collection)
            stored = self._catalogue.space(connection, found, space)
        return tagged.of_collection(self._connections, found, stored)

    def replace_tags(self, collection: str, changes: Sequence[TagChange]) -> int:
        """See `PhotoIndex.replace_tags`: one durable commit for all changes."""
        with self._connections.writing() as connection:
            return tagged.replace_tags(connection, self._catalogue.find(connection, collection), changes)

    def search(self, query: IndexQuery) -> Matches:
        """See `PhotoIndex.search`."""
        if query.limit < 1 or query.offset < 0 or query.offset + query.limit > MAX_RANKED:
            raise InvalidArgument("limit", f"offset {query.offset:,} + limit {query.limit:,} is not within 1 to {MAX_RANKED:,}")
        if query.after and (query.offset or not query.pages_by_key):
            raise InvalidArgument("after", "an answer in this order has pages by offset, or no offset; leave one out")
        with self._connections.reading() as connection:
            ranking = self._rank(connection, query)
            counts: tuple[FacetCounts, ...] = ()
            if query.facets:
                collection = self._catalogue.find(connection, query.collection)
                counts = facets.count(connection, collection, ranking.members, query.facets)
            return matches(connection, query.collection, ranking, facets=counts, with_documents=query.with_documents)

    def vocabulary(self, collection: str) -> Vocabulary:
        """See `PhotoIndex.vocabulary`."""
        with self._connections.reading() as connection:
            connection.execute("BEGIN")
            return self._vocabularies.of(connection, self._catalogue.find(connection, collection))

    def get(self, collection: str, photo_id: str) -> Document:
        """See `PhotoIndex.get`."""
        with self._connections.reading() as connection:
            row = self._row(connection, self._catalogue.find(connection, collection), photo_id)
        return document_of(collection, row)

    def get_whole(self, collection: str, photo_id: str) -> Document:
        """See `PhotoIndex.get_whole`."""
        vectors, provenances = {}, {}
        with self._connections.reading() as connection:
            connection.execute("BEGIN")  # one state for all parts; `reading` ends it
            found = self._catalogue.find(connection, collection)
            row = self._row(connection, found, photo_id)
            for stored in self._catalogue.spaces(connection, found):
                sql = f"SELECT vectors FROM vectors_{stored.space_id:d} WHERE row_id = ?"
                if (blob := connection.execute(sql, (row[0],)).get) is not None:
                    vectors[stored.space.name] = vectors_of(blob, stored.space)
                    provenances[stored.space.name] = stored.space.provenance
        return replace(document_of(collection, row), vectors=vectors, provenances=provenances)

    def _row(self, connection: Reader, collection: Collection, photo_id: str) -> Sequence[Any]:
        """The row of DOCUMENT_COLUMNS. Raises NotFound."""
        row: Sequence[Any] | None = connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents d JOIN bodies b USING (row_id) "
            "WHERE d.collection_id = ? AND d.photo_id = ?",
            (collection.collection_id, photo_id),
        ).fetchone()
        if row is None:
            raise NotFound(f"photo {shown(photo_id)} is not in collection {collection.name!r}")
        return row

    def vector(self, collection: str, photo_id: str, space: str) -> Vectors:
        """See `PhotoIndex.vector`."""
        with self._connections.reading() as connection:
            found = self._catalogue.find(connection, collection)
            stored = self._catalogue.space(connection, found, space)
            blob = connection.execute(
                f"SELECT v.vectors FROM documents d JOIN vectors_{stored.space_id:d} v USING (row_id) "
                "WHERE d.collection_id = ? AND d.photo_id = ?",
                (found.collection_id, photo_id),
            ).get
        if blob is None:
            self.get(collection, photo_id)  # NotFound when the photo itself is missing
            raise NotFound(f"photo {shown(photo_id)} of collection {shown(collection)} has no vectors of {stored.space.name}")
        return vectors_of(blob, stored.space)

    def spaces_of(self, collection: str, photo_id: str) -> Sequence[str]:
        """See `PhotoIndex.spaces_of`."""
        with self._connections.reading() as connection:
            found = self._catalogue.find(connection, collection)
            row_id = connection.execute(
                "SELECT row_id FROM documents WHERE collection_id = ? AND photo_id = ? AND deleted = 0",
                (found.collection_id, photo_id),
            ).get
            if row_id is None:
                raise NotFound(f"photo {shown(photo_id)} is not in collection {shown(collection)}")
            return [
                stored.space.name
                for stored in self._catalogue.spaces(connection, found)
                if connection.execute(
                    f"SELECT EXISTS (SELECT 1 FROM vectors_{stored.space_id:d} WHERE row_id = ?)", (row_id,)
                ).get
            ]

    def spaces(self, collection: str) -> Sequence[Space]:
        """See `PhotoIndex.spaces`."""
        with self._connections.reading() as connection:
            found = self._catalogue.find(connection, collection)
            return tuple(stored.space for stored in self._catalogue.spaces(connection, found))

    def ensure_collection(
        self, collection: str, *, spaces: Sequence[Space], root: str = "", at_most: int = MAX_COLLECTIONS
    ) -> None:
        """See `IndexAdmin.ensure_collection`; an empty `root` claims nothing."""
        with self._connections.writing() as connection:
            self._catalogue.ensure(connection, collection, spaces, root, at_most=at_most)

    def stats(self) -> Sequence[CollectionStats]:
        """See `IndexAdmin.stats`."""
        with self._connections.reading() as connection:
            connection.execute("BEGIN")
            return self._catalogue.stats(connection)

    def size_bytes(self) -> int:
        """See `IndexAdmin.size_bytes`: every file of the data folder."""
        total = 0
        for path in self._folder.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                continue  # a derived file that was removed meanwhile
        return total

    def put(self, failures_: Sequence[Failure]) -> None:
        """See `DeadLetters.put`."""
        with self._connections.writing() as connection:
            failures.put(connection, failures_)

    def list(self, *, collection: str = "", limit: int = 100, after: str = "") -> tuple[Sequence[Failure], str]:
        """See `DeadLetters.list`."""
        with self._connections.reading() as connection:
            return failures.page(connection, collection, limit, after)

    def forget(self, collection: str, photo_ids: Sequence[str]) -> None:
        """See `DeadLetters.forget`."""
        with self._connections.writing() as connection:
            failures.forget(connection, collection, photo_ids)

    def _start(self) -> None:
        """Checks the formats, makes the tables and starts the maintenance; a reader only checks."""
        if self._maintenance is None:
            with self._connections.reading() as connection:
                check_format(self._folder, connection)
                found = connection.pragma("user_version")
            if not found:  # its first writer has not made the tables yet
                raise NotFound(f"{self._folder} holds no index yet; index some photos into it first")
            with self._connections.reading() as connection:
                connection.execute("BEGIN")  # a new collection's tables and row become visible together
                check_schema(connection)
            return
        check_format(self._folder, self._connections.writer)
        create_tables(self._connections.writer)
        check_schema(self._connections.writer)
        write_format(self._folder)
        self._maintenance.start()

    def _rank(self, connection: Reader, query: IndexQuery) -> Ranking:
        """Begins the one transaction that answers the query; `reading` ends it."""
        clause = query.clause
        if isinstance(clause, VectorClause):
            opened = self._spaces.begin(connection, query.collection, clause.space)
            return by_vector(connection, opened, query, clause, self._tuning, self._filters)
        connection.execute("BEGIN")
        collection = self._catalogue.find(connection, query.collection)
        match clause:
            case KeywordClause():
                return by_keyword(connection, collection, query, clause)
            case TextClause():
                return by_text(connection, collection, query, clause)
            case EverythingClause():
                return everything(connection, collection, query)
