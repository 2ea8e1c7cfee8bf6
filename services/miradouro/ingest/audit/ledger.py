"""What the log and the index hold, side by side in a temporary SQLite file, and the questions that bring faults to light.

A row for every event, dead letter and document: disk grows with them (about 150 bytes each), memory does not. A question costs
the number of events, times the logarithm of it.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from miradouro.ingest.audit.findings import Violation

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE events (
    collection TEXT, photo_id TEXT, version INTEGER, partition INTEGER, offset INTEGER,
    deleted INTEGER,
    due INTEGER,  -- has to be in the index: its offset is committed, and it is no dead letter
    PRIMARY KEY (collection, photo_id, version, partition, offset)
) WITHOUT ROWID;
CREATE TABLE letters (
    partition INTEGER, offset INTEGER, reason TEXT, sha256 TEXT, copies INTEGER, found INTEGER, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE TABLE lost_records (partition INTEGER, offset INTEGER);  -- no event, and no dead letter either
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, collection TEXT, photo_id TEXT, version INTEGER, deleted INTEGER, physical TEXT, document_id TEXT
);
CREATE INDEX documents_of_photos ON documents (collection, photo_id, version);
CREATE TABLE partitions (partition INTEGER PRIMARY KEY, committed INTEGER, first_gap INTEGER);
BEGIN;
"""
# What events, documents and letters have in common in the questions below.
_STORED = "(SELECT max(version) FROM documents AS d WHERE d.collection = e.collection AND d.photo_id = e.photo_id)"
_SCATTER, _SCATTERED = 2_654_435_761, 4_294_967_291  # primes: neighbours go far apart
_SAME = "e.collection = d.collection AND e.photo_id = d.photo_id"


@dataclass(frozen=True)
class Letter:
    """A dead letter: why, and the SHA-256 of the record's value."""

    reason: str
    sha256: str


@dataclass(frozen=True)
class Sampled:
    """A live document and the position of its event; None where Kafka no longer holds that."""

    collection: str
    photo_id: str
    version: int
    physical: str
    document_id: str
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

    def add_letter(self, partition: int, offset: int, reason: str, sha256: str) -> None:
        """A dead letter of a record; the same again counts as a copy."""
        self._db.execute(
            """INSERT INTO letters VALUES (?, ?, ?, ?, 1, 0) ON CONFLICT DO UPDATE SET copies = copies + 1,
            sha256 = iif(sha256 = excluded.sha256, sha256, 'differs among its copies')""",
            (partition, offset, reason, sha256),
        )

    def letter_of(self, partition: int, offset: int) -> Letter | None:
        """The dead letter of a record, which is thereby accounted for."""
        row = self._db.execute(
            "UPDATE letters SET found = 1 WHERE partition = ? AND offset = ? RETURNING reason, sha256", (partition, offset)
        ).fetchone()
        return None if row is None else Letter(str(row[0]), str(row[1]))

    def add_event(
        self, collection: str, photo_id: str, version: int, *, partition: int, offset: int, deleted: bool, due: bool
    ) -> None:
        """An event."""
        self._db.execute(
            "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
            (collection, photo_id, version, partition, offset, deleted, due),
        )

    def add_lost_record(self, partition: int, offset: int) -> None:
        """A record that is no event, and has no dead letter though it should."""
        self._db.execute("INSERT INTO lost_records VALUES (?, ?)", (partition, offset))

    def add_document(
        self, collection: str, photo_id: str, version: int, *, deleted: bool, physical: str, document_id: str
    ) -> None:
        """A document of the index `physical`."""
        self._db.execute(
            "INSERT INTO documents (collection, photo_id, version, deleted, physical, document_id) VALUES (?, ?, ?, ?, ?, ?)",
            (collection, photo_id, version, deleted, physical, document_id),
        )

    def clear_documents(self) -> None:
        """Forgets every document."""
        self._db.execute("DELETE FROM documents")

    def add_partitions(self, committed: Mapping[int, int], first_gaps: Mapping[int, int]) -> None:
        """How far each partition is committed, and the first offset at which Kafka holds no record any more."""
        self._db.executemany(
            "INSERT INTO partitions VALUES (?, ?, ?)",
            [(number, committed.get(number, 0), first_gaps.get(number)) for number in committed.keys() | first_gaps.keys()],
        )

    def repeated_letters(self) -> int:
        """Copies beyond the first."""
        return self._count("SELECT coalesce(sum(copies - 1), 0) FROM letters")

    def sample(self, size: int, seed: int) -> Iterator[Sampled]:
        """Up to `size` live documents, scattered by `seed`, each with its event."""
        rows = self._db.execute(
            f"""SELECT collection, photo_id, version, physical, document_id, partition, offset FROM (
                SELECT * FROM documents WHERE NOT deleted ORDER BY ((id + ?) * {_SCATTER}) % {_SCATTERED} LIMIT ?
            ) AS d LEFT JOIN events AS e USING (collection, photo_id, version)
            WHERE e.deleted IS NOT TRUE GROUP BY d.id""",
            (seed, size),
        )
        for row in rows:
            yield Sampled(*row)

    def violations(self, ends: Mapping[int, int]) -> Iterator[Violation]:
        """Everything that does not fit together. `ends`: by partition, where the log ends."""
        yield from self._lost()
        yield from self._documents_of_photos()
        yield from self._deletions()
        yield from self._committed(ends)
        for partition, offset in self._db.execute("SELECT partition, offset FROM letters WHERE NOT found"):
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
        for collection, photo_id, version, document_id, physical in self._db.execute(
            """SELECT collection, photo_id, version, document_id, physical FROM documents GROUP BY collection, photo_id
            HAVING count(*) = 1"""
        ):
            expected = hashlib.sha256(f"{collection}/{photo_id}".encode()).hexdigest()
            if document_id != expected:
                message = f"its id is {document_id} in {physical}; expected: {expected}"
                yield Violation("document_misplaced", message, collection, photo_id, version)
        for collection, photo_id, version, partition, offset, stored in self._db.execute(
            f"""SELECT collection, photo_id, max(version), partition, offset, {_STORED} FROM events AS e
            WHERE due AND version > {_STORED} GROUP BY collection, photo_id"""
        ):
            message = f"the document has version {stored}"
            yield Violation("document_outdated", message, collection, photo_id, version, partition, offset)
        # Of a null value Kafka itself forgets the record after a time: a tombstone may stand alone.
        for photo in self._db.execute(
            f"""SELECT collection, photo_id, version FROM documents AS d
            WHERE NOT deleted AND NOT EXISTS (SELECT 1 FROM events AS e WHERE {_SAME})"""
        ):
            yield Violation("document_unknown", "no event names the photo: an index made from the log would lack it", *photo)
        # A compacted partition no longer shows which versions there were.
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

    def _count(self, question: str) -> int:
        [(count,)] = self._db.execute(question)
        return int(count)
