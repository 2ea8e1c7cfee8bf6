"""Copies of a data folder's database, taken while it is in use, and put back into an empty folder.

A copy is the database alone, one file: segments come back from it by themselves.
"""

import os
from collections.abc import Callable
from pathlib import Path

import apsw

from miradouro.adapters.sqlite_index.driver_errors import translated
from miradouro.adapters.sqlite_index.schema import DATABASE_FILE, FORMAT, check_format
from miradouro.adapters.sqlite_index.tokenizer import register_tokenizer
from miradouro.adapters.sqlite_index.writer_lock import LOCK_FILE, WriterLock
from miradouro.core.errors import Corrupt, FailedPrecondition, InvalidArgument, NotFound
from miradouro.runtime.private_folder import make_private

SUFFIX = ".db"
_PAGES_AT_ONCE = 512  # 4 MiB, and then a word of progress

Progress = Callable[[int, int], None]


def take_snapshot(folder: Path, target: Path, *, progress: Progress) -> None:
    """Copies the data folder's database, as it is at this moment, into the new file `target`; writers go on.

    `progress` is told pages done and pages in all. Raises NotFound (nothing to copy), InvalidArgument (the target exists or
    its folder does not), FailedPrecondition (a newer format), Unavailable (disk full, no rights), Corrupt.
    """
    database = folder / DATABASE_FILE
    if not database.is_file():
        raise NotFound(f"{folder} holds no index to copy; name the data folder (--data)")
    if target.exists():
        raise InvalidArgument("target", f"{target} exists already; name a new file, or a folder to make one in")
    if not target.parent.is_dir():
        raise InvalidArgument("target", f"the folder {target.parent} does not exist; make it, or name another")
    with translated(folder):
        source = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            check_format(folder, source)
            _copy(source, target, progress)
        finally:
            source.close()


def restore_snapshot(snapshot: Path, folder: Path, *, progress: Progress) -> None:
    """Makes the data folder `folder`, which must be empty or not there, from a snapshot.

    Raises NotFound (no such file), InvalidArgument (no snapshot of Miradouro), StoreLocked, FailedPrecondition (the folder is
    not empty; a newer format), Corrupt (a damaged snapshot), Unavailable (disk full, no rights).
    """
    if not snapshot.is_file():
        raise NotFound(f"{snapshot} is no file; name a snapshot that `miradouro snapshot` made")
    with translated(folder):
        make_private(folder)
        lock = WriterLock(folder)  # a folder in use is told as such
        try:
            there = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
            if there:
                raise FailedPrecondition(
                    f"{folder} is not empty ({', '.join(there[:3])}): a restore replaces nothing; name an empty folder (--data)"
                )
            with translated(snapshot):
                source = apsw.Connection(str(snapshot), flags=apsw.SQLITE_OPEN_READONLY)
                try:
                    _check(snapshot, source)
                    _copy(source, folder / DATABASE_FILE, progress, is_new_store=True)
                finally:
                    source.close()
        finally:
            lock.release()


def _check(snapshot: Path, source: apsw.Connection) -> None:
    found = int(source.pragma("user_version") or 0)
    tables = {str(name) for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not found or not {"collections", "documents", "segments"} <= tables:
        raise InvalidArgument("snapshot", f"{snapshot} is a database, but no snapshot of Miradouro; name one that it made")
    if found > FORMAT:
        raise FailedPrecondition(f"{snapshot} has format {found}, this program knows formats up to {FORMAT}; update miradouro")


def _copy(source: apsw.Connection, target: Path, progress: Progress, *, is_new_store: bool = False) -> None:
    """SQLite's online backup of one moment of `source`, under a temporary name until it is whole, checked and on the disk."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        copy = apsw.Connection(str(draft))
        try:
            register_tokenizer(copy)  # the check below looks into full-text tables
            # A transaction holds the moment: commits of others would make the backup begin again and again.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with copy.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step(_PAGES_AT_ONCE)
                    progress(backup.page_count - backup.remaining, backup.page_count)
            source.execute("ROLLBACK")
            copy.pragma("journal_mode", "delete")  # one file, without a log beside it
            if is_new_store and int(copy.pragma("user_version")) >= 2:  # the format that gave databases a name
                copy.execute("UPDATE store SET identity = lower(hex(randomblob(16)))")
            found = copy.pragma("quick_check")
            if found != "ok":
                raise Corrupt(f"the copy of {source.filename} is damaged ({found}); restore from an older snapshot")
        finally:
            copy.close()
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
