"""Folders that their owner alone may enter."""

import os
import stat
from pathlib import Path

from miradouro.core.errors import FailedPrecondition

FOLDER_MODE, FILE_MODE = 0o700, 0o600
OTHERS = 0o077  # every right of everybody but the owner


def make_private(folder: Path) -> None:
    """Makes `folder` with FOLDER_MODE. One that is there with more rights loses them, and so does everything in it.

    Raises FailedPrecondition when it belongs to another user, and OSError.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _check_owner(folder, folder.stat())
    # The changes are made to the folder that is checked here, whatever takes its name meanwhile.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(opened)
        _check_owner(folder, status)
        if status.st_mode & OTHERS:
            os.fchmod(opened, FOLDER_MODE)
            _narrow(opened)
    finally:
        os.close(opened)


def _check_owner(folder: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise FailedPrecondition(
            f"data folder {folder} belongs to user {status.st_uid}, and this process runs as user {os.geteuid()}: "
            "run it as that user, or name a folder of your own (--data); it is made where there is none"
        )


def _narrow(folder: int) -> None:
    """Takes everything in `folder` from other users; links are left alone, and so are files of another user."""
    for _, folders, files, parent in os.fwalk(".", dir_fd=folder):
        for names, mode in ((folders, FOLDER_MODE), (files, FILE_MODE)):
            for name in names:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if status.st_uid == os.geteuid() and status.st_mode & OTHERS and not stat.S_ISLNK(status.st_mode):
                    os.chmod(name, mode, dir_fd=parent)
