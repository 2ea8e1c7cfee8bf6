"""Connections to the database: one writes, any number read, and each is lent to one thread at a time."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from miradouro.adapters.sqlite_index.driver_errors import translated
from miradouro.adapters.sqlite_index.schema import DATABASE_FILE, PAGE_BYTES
from miradouro.adapters.sqlite_index.tokenizer import register_tokenizer
from miradouro.core.errors import FailedPrecondition, Unavailable

_BUSY_TIMEOUT_MS = 10_000
_CACHE_KIB = 4_096  # per connection; the operating system caches the file
_CHECKPOINT_BYTES = 16 << 20
_MAX_IDLE_READERS = 16


class Reader(apsw.Connection):
    """A connection that reads. `remembered`: results that hold on this connection while the database has their version."""

    def __init__(self, path: str) -> None:
        super().__init__(path, flags=apsw.SQLITE_OPEN_READONLY)
        self.remembered: dict[Hashable, object] = {}


class Connections:
    """Opens, lends and closes connections. Thread-safe: `writing` lets one thread in at a time."""

    def __init__(self, folder: Path, *, writer: bool, max_bytes: int | None = None) -> None:
        self._folder = folder
        self._path = str(folder / DATABASE_FILE)
        self._idle: list[Reader] = []
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._closed = False
        self._writer = self._open_writer(max_bytes) if writer else None

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A read-only connection, outside a transaction: each statement sees what is committed when it starts.

        Ends a transaction that the caller began.
        """
        with translated(self._folder):
            connection = self._borrow()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """The writer's connection in a transaction, which ends in a durable commit or, on any error, in a rollback."""
        with translated(self._folder), self._write_lock:
            connection = self.writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back some failed commits
                    connection.execute("ROLLBACK")
                raise

    @property
    def writer(self) -> apsw.Connection:
        """The writer's connection. Raises FailedPrecondition for a folder opened for reading, Unavailable after `close`."""
        if self._closed:
            raise Unavailable(f"data folder {self._folder} was closed by this process; open it again")
        if self._writer is None:
            raise FailedPrecondition(f"data folder {self._folder} was opened for reading; open it with writer=True to write")
        return self._writer

    def close(self) -> None:
        """Closes every connection; one that is lent is closed when it is returned. Safe to call twice."""
        with self._write_lock, self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _open_writer(self, max_bytes: int | None) -> apsw.Connection:
        connection = apsw.Connection(self._path)
        _configure(connection)
        connection.pragma("page_size", PAGE_BYTES)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.wal_autocheckpoint(_CHECKPOINT_BYTES // PAGE_BYTES)
        connection.pragma("journal_size_limit", 4 * _CHECKPOINT_BYTES)
        if max_bytes is not None:
            connection.pragma("max_page_count", max(1, max_bytes // PAGE_BYTES))
        return connection

    def _borrow(self) -> Reader:
        with self._lock:
            if self._closed:
                raise Unavailable(f"data folder {self._folder} was closed by this process; open it again")
            if self._idle:
                return self._idle.pop()
        connection = Reader(self._path)
        _configure(connection)
        return connection

    def _give_back(self, connection: Reader) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _MAX_IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()


def harden(connection: apsw.Connection) -> None:
    """Makes SQLite distrust the file: no triggers, no views, no functions in its schema, no writes to internal tables."""
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    connection.pragma("cell_size_check", "on")


def _configure(connection: apsw.Connection) -> None:
    harden(connection)
    connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
    connection.pragma("cache_size", -_CACHE_KIB)
    connection.pragma("foreign_keys", "on")
    register_tokenizer(connection)
