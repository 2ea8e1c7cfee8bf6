"""The events, dead letters and documents of an audit in a temporary SQLite file, and the queries that compare them.

Each has one row: disk grows with them, by about 150 bytes each, memory does not. A query of n events takes O(n log n).
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from miradouro.core.audited_index import DocumentKey, RawDocument
from miradouro.ingest.audit.findings import Violation

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE events (
    collection TEXT, photo_id TEXT, version INTEGER, partition INTEGER, offset INTEGER,
    deleted INTEGER,
    due INTEGER,  -- must be in the index: its offset is committed, and it has no dead letter
    PRIMARY KEY (collection, photo_id, version, partition, offset)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    partition INTEGER, offset INTEGER, reason TEXT, sha256 TEXT, copies INTEGER, found INTEGER, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE TABLE lost_records (partition INTEGER, offset INTEGER);  -- not an event, and without a dead letter
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, collection TEXT, photo_id TEXT, version INTEGER, deleted INTEGER,
    generation TEXT, document_id TEXT, expected_id TEXT
);
CREATE INDEX documents_of_photos ON documents (collection, photo_id, version);
CREATE TABLE partitions (partition INTEGER PRIMARY KEY, committed INTEGER, first_gap INTEGER);
BEGIN;
"""
# Parts of the queries below.
_STORED = "(SELECT max(version) FROM documents AS d WHERE d.collection = e.collection AND d.photo_id = e.photo_id)"
_SCATTER, _SCATTERED = 2_654_435_761, 4_294_967_291  # primes that scatter neighbours
_SAME = "e.collection = d.collection AND e.photo_id = d.photo_id"


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: its reason, and the SHA-256 of its record's value."""

    reason: str
    sha256: str


@dataclass(frozen=True)
class Sampled:
    """A live document, and the position of its event in the topic; None if Kafka no longer holds the event."""

    collection: str
    photo_id: str
    version: int
    key: DocumentKey
    partition: int | None
    offset: int | None


class Ledger:
    """Owns the temporary file; a context manager. Used by one thread."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="miradouro-audit-")
        self._db = apsw.Connection(str(Path(self._folder.name) / "ledger.db"))
        self._db.execute(_TABLES).fetchall()  # every statement runs, those that give rows too

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._db.close()
        self._folder.cleanup()

    def add_dead_letter(self, partition: int, offset: int, reason: str, sha256: str) -> None:
        """Adds the dead letter of a record; a second one counts as a copy."""
        self._db.execute(
            """INSERT INTO dead_letters VALUES (?, ?, ?, ?, 1, 0) ON CONFLICT DO UPDATE SET copies = copies + 1,
            sha256 = iif(sha256 = excluded.sha256, sha256, 'differs among its copies')""",
            (partition, offset, reason, sha256),
        )

    def dead_letter_of(self, partition: int, offset: int) -> DeadLetter | None:
        """The dead letter of a record, which counts as found from now on."""
        row = self._db.execute(
            "UPDATE dead_letters SET found = 1 WHERE partition = ? AND offset = ? RETURNING reason, sha256", (partition, offset)
        ).fetchone()
        return None if row is None else DeadLetter(str(row[0]), str(row[1]))

    def add_event(
        self, collection: str, photo_id: str, version: int, *, partition: int, offset: int, deleted: bool, due: bool
    ) -> None:
        """Adds an event."""
        self._db.execute(
            "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
            (collection, photo_id, version, partition, offset, deleted, due),
        )

    def add_lost_record(self, partition: int, offset: int) -> None:
        """Adds a record that is not an event and lacks its dead letter."""
        self._db.execute("INSERT INTO lost_records VALUES (?, ?)", (partition, offset))

    def add_document(self, document: RawDocument) -> None:
        """Adds a document or tombstone."""
        self._db.execute(
            """INSERT INTO documents (collection, photo_id, version, deleted, generation, document_id, expected_id)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                *(document.collection, document.photo_id, document.version, document.deleted),
                *(document.key.generation, document.key.document_id, document.expected_id),
            ),
        )

    def clear_documents(self) -> None:
        """Removes every document."""
        self._db.execute("DELETE FROM documents")

    def add_partitions(self, committed: Mapping[int, int], first_gaps: Mapping[int, int]) -> None:
        """Adds the committed offset of each partition, and the first offset at which compaction removed a record."""
        self._db.executemany(
            "INSERT INTO partitions VALUES (?, ?, ?)",
            [(number, committed.get(number, 0), first_gaps.get(number)) for number in committed.keys() | first_gaps.keys()],
        )

    def repeated_dead_letters(self) -> int:
        """The number of copies beyond the first."""
        return self._count("SELECT coalesce(sum(copies - 1), 0) FROM dead_letters")

    def sample(self, size: int, seed: int) -> Iterator[Sampled]:
        """Up to `size` live documents, each with its event; `seed` decides which."""
        rows = self._db.execute(
            f"""SELECT collection, photo_id, version, generation, document_id, partition, offset FROM (
                SELECT * FROM documents WHERE NOT deleted ORDER BY ((id + ?) * {_SCATTER}) % {_SCATTERED} LIMIT ?
            ) AS d LEFT JOIN events AS e USING (collection, photo_id, version)
            WHERE e.deleted IS NOT TRUE GROUP BY d.id""",
            (seed, size),
        )
        for collection, photo_id, version, generation, document_id, partition, offset in rows:
            yield Sampled(collection, photo_id, version, DocumentKey(generation, document_id), partition, offset)

    def violations(self, ends: Mapping[int, int]) -> Iterator[Violation]:
        """All violations that a comparison finds. `ends`: by partition, the offset after the last record."""
        yield from self._lost()
        yield from self._documents_of_photos()
        yield from self._deletions()
        yield from self._committed(ends)
        for partition, offset in self._db.execute("SELECT partition, offset FROM dead_letters WHERE NOT found"):
            if offset >= ends.get(partition, 0):
                yield Violation(
                    "dead_letter_unfounded",
                    f"the log ends at offset {ends.get(partition, 0)}",
                    partition=partition,
                    offset=offset,
                )

    def _lost(self) -> Iterator[Violation]:
        for collection, photo_id, version, partition, offset in self._db.execute(
            f"""SELECT collection, photo_id, max(version), partition, offset FROM events AS e
            WHERE due AND {_STORED} IS NULL GROUP BY collection, photo_id"""
        ):
            message = "the photo has no document, and its event no dead letter"
            yield Violation("event_lost", message, collection, photo_id, version, partition, offset)

    def _documents_of_photos(self) -> Iterator[Violation]:
        for collection, photo_id, version, count, ids in self._db.execute(
            """SELECT collection, photo_id, max(version), count(*), group_concat(document_id, ', ') FROM documents
            GROUP BY collection, photo_id HAVING count(*) > 1"""
        ):
            yield Violation("document_doubled", f"{count} documents: {ids}", collection, photo_id, version)
        for collection, photo_id, version, document_id, generation, expected in self._db.execute(
            """SELECT collection, photo_id, version, document_id, generation, expected_id FROM documents
            GROUP BY collection, photo_id HAVING count(*) = 1 AND document_id != expected_id"""
        ):
            message = f"its id is {document_id} in {generation}; expected: {expected}"
            yield Violation("document_misplaced", message, collection, photo_id, version)
        for collection, photo_id, version, partition, offset, stored in self._db.execute(
            f"""SELECT collection, photo_id, max(version), partition, offset, {_STORED} FROM events AS e
            WHERE due AND version > {_STORED} GROUP BY collection, photo_id"""
        ):
            message = f"the document has version {stored}"
            yield Violation("document_outdated", message, collection, photo_id, version, partition, offset)
        # Kafka removes a record without value after a time: a tombstone may be without its event.
        for photo in self._db.execute(
            f"""SELECT collection, photo_id, version FROM documents AS d
            WHERE NOT deleted AND NOT EXISTS (SELECT 1 FROM events AS e WHERE {_SAME})"""
        ):
            yield Violation("document_unknown", "no event names the photo: an index made from the log would lack it", *photo)
        # Compaction removes versions: skip the partitions where it removed a record before the event.
        for photo in self._db.execute(
            f"""SELECT collection, photo_id, version FROM documents AS d
            WHERE EXISTS (SELECT 1 FROM events AS e WHERE {_SAME})
            AND NOT EXISTS (SELECT 1 FROM events AS e WHERE {_SAME} AND (e.version = d.version OR due AND e.version > d.version))
            AND NOT EXISTS (SELECT 1 FROM events AS e JOIN partitions AS p USING (partition)
                            WHERE {_SAME} AND e.offset > p.first_gap)"""
        ):
            yield Violation("document_unknown", "no event of the photo has this version", *photo)

    def _deletions(self) -> Iterator[Violation]:
        for *photo, deleted in self._db.execute(
            f"""SELECT collection, photo_id, version, deleted FROM documents AS d
            WHERE EXISTS (SELECT 1 FROM events AS e WHERE {_SAME} AND e.version = d.version)
            AND NOT EXISTS (SELECT 1 FROM events AS e WHERE {_SAME} AND e.version = d.version AND e.deleted = d.deleted)"""
        ):
            name = "deletion_unasked" if deleted else "deletion_undone"
            yield Violation(name, f"the event says {'otherwise' if deleted else 'deleted'}", *photo)

    def _committed(self, ends: Mapping[int, int]) -> Iterator[Violation]:
        """Committed offsets that are too far, with the offset to reset the group to."""
        for partition, committed, offset in self._db.execute(
            f"""SELECT partition, committed, min(offset) FROM (
                SELECT partition, offset FROM events AS e WHERE due AND coalesce({_STORED}, 0) < version
                UNION ALL SELECT partition, offset FROM lost_records
            ) JOIN partitions USING (partition) WHERE offset < committed GROUP BY partition"""
        ):
            message = f"offset {committed} is committed, {offset} is not done; let the group go on from there again"
            yield Violation("committed_too_far", message, partition=partition, offset=offset)
        for partition, committed in self._db.execute("SELECT partition, committed FROM partitions"):
            if committed > ends.get(partition, 0):
                message = f"offset {committed} is committed, the log ends at {ends.get(partition, 0)}: is it another topic now?"
                yield Violation("committed_too_far", message, partition=partition, offset=committed)

    def _count(self, query: str) -> int:
        [(count,)] = self._db.execute(query)
        return int(count)
