"""The one table that translates errors of SQLite and the file system into the program's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from miradouro.core.error_text import shown
from miradouro.core.errors import Corrupt, InvalidArgument, Unavailable

_TABLE: tuple[tuple[type[apsw.Error], type[Unavailable | Corrupt], str], ...] = (
    (apsw.FullError, Unavailable, "the disk, or the limit set on the store, is full; free some space and try again"),
    (apsw.ReadOnlyError, Unavailable, "the data folder is read-only; make it writable and try again"),
    (apsw.PermissionsError, Unavailable, "the data folder may not be read; give this user the right and try again"),
    (apsw.CantOpenError, Unavailable, "the database can't be opened; check that the folder exists and may be read"),
    (apsw.BusyError, Unavailable, "another process holds the database; try again"),
    (apsw.LockedError, Unavailable, "another process holds the database; try again"),
    (apsw.ProtocolError, Unavailable, "another process holds the database; try again"),
    (apsw.IOError, Unavailable, "the disk failed; check it and its free space, and try again"),
    (apsw.NoMemError, Unavailable, "out of memory; free some and try again"),
    (apsw.CorruptError, Corrupt, "the database is damaged; restore the data folder from a copy, or index into a new one"),
    (apsw.NotADBError, Corrupt, "the file is no SQLite database; restore the data folder from a copy, or index into a new one"),
)


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Raises Unavailable, Corrupt or InvalidArgument instead of the driver's errors; other errors pass unchanged."""
    try:
        yield
    except apsw.Error as exc:
        for driver_error, error, advice in _TABLE:
            if isinstance(exc, driver_error):
                raise error(f"data folder {folder}: {exc}: {advice}") from exc
        raise
    except UnicodeEncodeError as exc:
        raise InvalidArgument("text", f"{shown(exc.object)} is no valid Unicode: {exc.reason}") from exc
    except OSError as exc:
        raise Unavailable(
            f"data folder {folder}: {exc}; check the disk, the space left on it and its rights, or name another "
            "(--data, MIRADOURO_DATA_DIR)"
        ) from exc
