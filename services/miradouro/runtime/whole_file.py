"""Files that are there whole or not at all, whoever reads them meanwhile."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Writes `data` under a name of its own and renames it to `path`, whose folder is made when it is missing.

    Not synced: after a crash of the machine the file may be empty, so it is for what can be made again. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
