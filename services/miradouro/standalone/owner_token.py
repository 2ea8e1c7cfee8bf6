"""The token of a data folder: one line in DATA/token, for the folder's owner, made at the first start of a server."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from miradouro.adapters.sqlite_index.data_folder import make_data_folder
from miradouro.adapters.sqlite_index.driver_errors import translated
from miradouro.runtime.private_folder import FILE_MODE
from miradouro.runtime.tokens import Tokens

TOKEN_NAME = "token"  # noqa: S105 # a file's name


def owner_token(folder: Path) -> Tokens:
    """The token of the data folder. Raises ConfigurationError: it is missing, or is not private to this user."""
    path = folder / TOKEN_NAME
    return Tokens(path, name=f"the token of the data folder, {str(path)!r}", is_own=True)


def make_owner_token(folder: Path) -> Tokens:
    """The token of the data folder, made when it is missing. Processes that start at the same time get the same token.

    Raises FailedPrecondition (another user owns the folder), Unavailable (no rights, disk full), and ConfigurationError as
    `owner_token` does.
    """
    path = folder / TOKEN_NAME
    with translated(folder):
        make_data_folder(folder)
        with _alone_in(folder):
            if not os.path.lexists(path):
                _make(path)
    return owner_token(folder)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds a lock on the folder itself, for milliseconds. Other users can't take it, because they can't open the folder."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _make(path: Path) -> None:
    temporary = path.with_name(f".new-{secrets.token_hex(8)}")
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            os.write(opened, f"{secrets.token_hex(32)}\n".encode())
            os.fsync(opened)
        finally:
            os.close(opened)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
