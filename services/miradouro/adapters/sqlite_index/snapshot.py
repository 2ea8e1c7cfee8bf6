"""Copies of a data folder's database, taken while it is in use.

A copy is the database alone, one file: segments come back from it by themselves.
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
            harden(source)
            check_format(folder, source)
            with copied(source, target, progress) as copy:
                register_tokenizer(copy)  # the check looks into full-text tables
                found = copy.pragma("quick_check")
                if found != "ok":
                    raise Corrupt(f"the copy of {source.filename} is damaged ({found}); restore from an older snapshot")
        finally:
            source.close()


@contextmanager
def copied(source: apsw.Connection, target: Path, progress: Progress) -> Iterator[apsw.Connection]:
    """SQLite's online backup of one moment of `source`: a connection to the copy, which gets its name after the block.

    It is checked by the block, and on the disk before it is called `target`; an error leaves nothing.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        copy = apsw.Connection(str(draft))
        try:
            harden(copy)
            # A transaction holds the moment: commits of others would make the backup begin again and again.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with copy.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step(_PAGES_AT_ONCE)
                    progress(backup.page_count - backup.remaining, backup.page_count)
            source.execute("ROLLBACK")
            copy.pragma("journal_mode", "delete")  # one file, without a log beside it
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
