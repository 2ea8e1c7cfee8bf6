"""Folders that only their owner may enter."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

from miradouro.core.errors import FailedPrecondition

FOLDER_MODE, FILE_MODE = 0o700, 0o600
OTHERS = 0o077  # every right of everybody but the owner


def make_private(folder: Path, *, known: Collection[str] | None = None) -> None:
    """Makes `folder` with FOLDER_MODE; an existing one loses further rights.

    A user may name a folder that serves another purpose. With `known`, a non-empty folder without a file of such a name keeps its
    rights and is refused.

    The files in it keep their modes, but other users cannot reach them. Raises OSError, and FailedPrecondition when the folder
    belongs to another user, or is open to others and serves another purpose, such as a home folder or /tmp.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _check_owner(folder, folder.stat())
    # The change applies to the checked folder, even when another one takes its name meanwhile.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(opened)
        _check_owner(folder, status)
        if not status.st_mode & OTHERS:
            return
        if known is not None and (held := os.listdir(opened)) and not set(known).intersection(held):
            raise FailedPrecondition(
                f"{folder} is not empty ({', '.join(sorted(held)[:3])}), holds no index, and other users may enter it "
                f"(mode {stat.S_IMODE(status.st_mode):04o}); name a folder of its own (--data), which is made where there is none"
            )
        os.fchmod(opened, FOLDER_MODE)
    finally:
        os.close(opened)


def _check_owner(folder: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise FailedPrecondition(
            f"data folder {folder} belongs to user {status.st_uid}, and this process runs as user {os.geteuid()}: "
            "run it as that user, or name a folder of your own (--data); it is made where there is none"
        )
