"""Thumbnails in files, which may be deleted at any time: they are made again."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from miradouro.core.thumbnail import thumbnail_name

_log = structlog.get_logger()


class ThumbnailCache:
    """One file per photo's SHA-256 and size, below `folder`; None keeps nothing. Safe for any number of threads and processes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._has_complained = False

    def get(self, sha256: str, size: int, make: Callable[[], bytes]) -> bytes:
        """The thumbnail; `make` makes it where it isn't kept. A file that can't be kept is no reason not to answer."""
        if self._folder is None:
            return make()
        path = self._folder / thumbnail_name(sha256, size)
        with suppress(OSError):  # whatever is wrong with it: it is derived
            kept = path.read_bytes()
            if kept:
                return kept
        made = make()
        try:
            _write(path, made)
        except OSError as exc:
            if not self._has_complained:
                _log.warning("thumbnails can't be kept", folder=str(self._folder), error=exc.strerror)
            self._has_complained = True
        return made


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: under a name of its own first. Not synced: a file that is empty after a crash is made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
