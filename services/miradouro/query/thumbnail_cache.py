"""Thumbnails in files, which may be deleted at any time: they are made again."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from miradouro.core.thumbnail import thumbnail_name
from miradouro.runtime.whole_file import write_whole

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
            write_whole(path, made)  # one that is empty after a crash is made again
        except OSError as exc:
            if not self._has_complained:
                _log.warning("thumbnails can't be kept", folder=str(self._folder), error=exc.strerror)
            self._has_complained = True
        return made
