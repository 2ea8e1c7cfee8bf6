"""Backups of a data folder's database, taken while it is in use.

A backup is the database alone, one file: segments are rebuilt from it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from miradouro.adapters.sqlite_index.connections import harden
from miradouro.adapters.sqlite_index.driver_errors import translated
from miradouro.adapters.sqlite_index.schema import DATABASE_FILE, check_format
from miradouro.adapters.sqlite_index.tokenizer import register_tokenizer
from miradouro.core.errors import Corrupt, InvalidArgument, NotFound

SUFFIX = ".db"
_PAGES_AT_ONCE = 512  # 4 MiB between two reports of progress

Progress = Callable[[int, int], None]


def take_snapshot(folder: Path, target: Path, *, progress: Progress) -> None:
    """Copies the present state of the data folder's database into the new file `target`; writes go on meanwhile.

    Calls `progress` with the pages that are done and all pages. Raises NotFound (nothing to copy), InvalidArgument (the target
    exists or its folder does not), FailedPrecondition (a newer format), Unavailable (disk full, no rights), Corrupt.
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
            harden(source)
            check_format(folder, source)
            with copied(source, target, progress) as copy:
                register_tokenizer(copy)  # the check reads full-text tables
                found = copy.pragma("quick_check")
                if found != "ok":
                    raise Corrupt(f"the copy of {source.filename} is damaged ({found}); restore from an older snapshot")
        finally:
            source.close()


@contextmanager
def copied(source: apsw.Connection, target: Path, progress: Progress) -> Iterator[apsw.Connection]:
    """SQLite's online backup of one state of `source`: yields a connection to the copy, which is named `target` after the block.

    The block checks it. It is flushed to the disk before it gets its name; an error leaves no file.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        copy = apsw.Connection(str(draft))
        try:
            harden(copy)
            # Without a transaction each commit of another process would restart the backup.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with copy.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step(_PAGES_AT_ONCE)
                    progress(backup.page_count - backup.remaining, backup.page_count)
            source.execute("ROLLBACK")
            copy.pragma("journal_mode", "delete")  # one file, without a log
            yield copy
        finally:
            copy.close()
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}-journal").unlink(missing_ok=True)
        raise
