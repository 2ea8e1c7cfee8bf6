"""Files that readers see whole or not at all."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Writes `data` under a name of its own and renames it to `path`, whose folder is made when it is missing.

    Unless `synced` the file may be empty after a crash of the machine: that is for what can be made again. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
        if synced:
            _sync_folder(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
