"""A cache of thumbnails in files. The files can be deleted at any time."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from miradouro.core.thumbnail import MAX_KEPT_BYTES, thumbnail_name
from miradouro.runtime.bounded_folder import BoundedFolder

_log = structlog.get_logger()


class ThumbnailCache:
    """One file per SHA-256 and size, below `folder`; None disables the cache. Safe for any number of threads and processes.

    Holds about `most_bytes`: the thumbnails that were asked for longest ago are removed.
    """

    def __init__(self, folder: Path | None, *, most_bytes: int = MAX_KEPT_BYTES) -> None:
        self._folder = folder
        self._kept = BoundedFolder(folder, most_bytes=most_bytes) if folder else None
        self._has_complained = False

    def get(self, sha256: str, size: int, make: Callable[[], bytes]) -> bytes:
        """Returns the thumbnail, from the cache or from `make`. A failed write to the cache is ignored.

        Raises Corrupt: `sha256` is no SHA-256.
        """
        name = thumbnail_name(sha256, size)
        if self._kept is None:
            return make()
        with suppress(OSError):  # a damaged entry is a miss: thumbnails are derived
            kept = self._kept.read(name)
            if kept:
                return kept
        made = make()
        try:
            self._kept.write(name, made)  # a file left empty by a crash is a miss
        except OSError as exc:
            if not self._has_complained:
                _log.warning("thumbnails can't be kept", folder=str(self._folder), error=exc.strerror)
            self._has_complained = True
        return made
