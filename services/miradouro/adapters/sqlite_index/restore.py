"""Makes a data folder from a snapshot. The snapshot is untrusted: every part of it is checked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.connections import harden
from miradouro.adapters.sqlite_index.data_folder import make_data_folder
from miradouro.adapters.sqlite_index.driver_errors import translated
from miradouro.adapters.sqlite_index.schema import DATABASE_FILE, check_number
from miradouro.adapters.sqlite_index.schema_check import check_schema
from miradouro.adapters.sqlite_index.snapshot import Progress, copied
from miradouro.adapters.sqlite_index.stored_values import check_values
from miradouro.adapters.sqlite_index.tokenizer import register_tokenizer
from miradouro.adapters.sqlite_index.writer_lock import LOCK_FILE, WriterLock
from miradouro.core.error_text import shown
from miradouro.core.errors import Corrupt, FailedPrecondition, InvalidArgument, NotFound

_FOREIGN = "SELECT type, substr(CAST(name AS TEXT), 1, 100) FROM sqlite_schema WHERE type NOT IN ('table', 'index') LIMIT 1"


@dataclass(frozen=True)
class Unconfirmed:
    """A collection whose folder, as the snapshot names it, was not confirmed."""

    collection: str
    root: str


def restore_snapshot(
    snapshot: Path, folder: Path, *, progress: Progress, roots: Mapping[str, str] | None = None
) -> list[Unconfirmed]:
    """Makes the data folder `folder`, which must be empty or missing, from a snapshot, and checks every row.

    A collection keeps its folder, below which originals are read, only where `roots`, collection → folder, confirms it. Returns
    the collections that were not confirmed.
    Raises NotFound (no such file), InvalidArgument (no snapshot of Miradouro; a root that is not in it), StoreLocked,
    FailedPrecondition (the folder is not empty; another format), Corrupt (damaged, or not as this program makes it),
    Unavailable (disk full, no rights).
    """
    if not snapshot.is_file():
        raise NotFound(f"{snapshot} is no file; name a snapshot that `miradouro snapshot` made")
    with translated(folder):
        make_data_folder(folder)
        lock = WriterLock(folder)  # raises StoreLocked where the folder is in use
        try:
            there = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
            if there:
                raise FailedPrecondition(
                    f"{folder} is not empty ({', '.join(there[:3])}): a restore replaces nothing; name an empty folder (--data)"
                )
            try:
                with translated(snapshot):
                    return _restored(snapshot, folder, progress, roots or {})
            except (apsw.Error, UnicodeDecodeError) as exc:  # neither a lack of resources nor damage that SQLite recognises
                raise Corrupt(f"{snapshot} is not as this program makes it ({exc}); restore one that you trust") from exc
        finally:
            lock.release()


def _restored(snapshot: Path, folder: Path, progress: Progress, roots: Mapping[str, str]) -> list[Unconfirmed]:
    source = apsw.Connection(str(snapshot), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        harden(source)
        _check_format(snapshot, source)
        with copied(source, folder / DATABASE_FILE, progress) as copy:
            return _checked(copy, roots)
    finally:
        source.close()


def _check_format(snapshot: Path, source: apsw.Connection) -> None:
    found = int(source.pragma("user_version") or 0)
    tables = {
        str(name)
        for (name,) in source.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('collections', 'documents', 'segments')"
        )
    }
    if found < 1 or len(tables) < 3:
        raise InvalidArgument("snapshot", f"{snapshot} is a database, but no snapshot of Miradouro; name one that it made")
    check_number(found, f"snapshot {snapshot}")


def _checked(copy: apsw.Connection, roots: Mapping[str, str]) -> list[Unconfirmed]:
    """Checks the copy, which no other process has open, and gives it an identity of its own."""
    register_tokenizer(copy)  # the checks read full-text tables
    if foreign := copy.execute(_FOREIGN).get:
        raise Corrupt(
            f"the snapshot holds the {shown(foreign[0])} {shown(foreign[1])}, which this program never makes; use another"
        )
    check_schema(copy)
    found = copy.execute("PRAGMA integrity_check(1)").get
    if found != "ok":
        raise Corrupt(f"the snapshot is damaged ({shown(found)}); restore an older one")
    check_values(copy)
    copy.execute("BEGIN IMMEDIATE")
    copy.execute("UPDATE store SET identity = lower(hex(randomblob(16)))")
    # Segments are rebuilt from the vectors: drop the list of the snapshot.
    copy.execute("DELETE FROM segments")
    copy.execute("DELETE FROM replaced")
    copy.execute("INSERT INTO segments(space_id) SELECT space_id FROM spaces ORDER BY space_id")
    unconfirmed = _confirmed_roots(copy, roots)
    copy.execute("COMMIT")
    return unconfirmed


def _confirmed_roots(copy: apsw.Connection, roots: Mapping[str, str]) -> list[Unconfirmed]:
    rows: list[Any] = copy.execute("SELECT name, root FROM collections WHERE root <> '' ORDER BY name").fetchall()
    stored = {str(name): str(root) for name, root in rows}
    for name, given in roots.items():
        if name not in stored:
            known = ", ".join(stored) or "none"
            raise InvalidArgument("root", f"{shown(name)} is no collection of a folder in this snapshot; there is: {known}")
        if stored[name] not in {os.path.abspath(given), os.path.realpath(given)}:
            raise InvalidArgument("root", f"the photos of {name} lie below {shown(stored[name])}, not {shown(given)}")
    unconfirmed = [Unconfirmed(name, root) for name, root in stored.items() if name not in roots]
    copy.executemany("UPDATE collections SET root = '' WHERE name = ?", [(one.collection,) for one in unconfirmed])
    return unconfirmed
