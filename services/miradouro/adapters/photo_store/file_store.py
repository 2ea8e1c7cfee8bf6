"""Original photos in files of this machine, by file: URI."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from miradouro.adapters.photo_store.allowed import named
from miradouro.core.errors import BadPhoto, InvalidArgument, MiradouroError, OriginalUnavailable, Unavailable, is_shortage
from miradouro.runtime.regular_file import NotRegular, read_regular
from miradouro.runtime.whole_file import write_whole

_GONE = {errno.ENOENT, errno.ENOTDIR}
_PASSING = {errno.EINTR, errno.EAGAIN}
# Errors of a network file system that does not answer, and of a broken local disk.
_UNREACHED = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH}


def file_uri(path: str) -> str:
    """The file: URI of an absolute path. Bytes that are not UTF-8 are percent-encoded, so the path can be recovered."""
    return "file://" + quote_from_bytes(os.fsencode(path))


class FileStore:
    """PhotoStore over the file system. Reads files below `roots` only; follows links below them.

    Inline photos are written to the folder `kept_in`, which becomes one of the roots.
    """

    def __init__(self, roots: Sequence[Path], *, kept_in: Path | None = None) -> None:
        self._kept_in = kept_in
        self._mounted = [os.path.normpath(os.path.abspath(root)) for root in roots]
        # Not in `_mounted`: the folder of inline photos is created with the first photo.
        self._roots = [*self._mounted, *([os.path.normpath(os.path.abspath(kept_in))] if kept_in else [])]

    @property
    def roots(self) -> list[Path]:
        """The folders below which files may be read."""
        return [Path(root) for root in self._roots]

    def read(self, uri: str, *, limit_bytes: int) -> bytes:
        """The bytes of a file; see `core.ports.PhotoStore`."""
        path = self._path(uri)
        try:
            data = _read_settled(path, limit_bytes + 1)
        except OSError as exc:
            self._check_root_of(path)
            raise _translated(exc, named(uri)) from exc
        if len(data) > limit_bytes:
            raise BadPhoto("too_many_bytes", f"{named(uri)} has more than {limit_bytes:,} bytes; scale the photo down")
        return data

    def keep(self, data: bytes, *, sha256: str) -> str:
        """Writes inline bytes; see `core.ports.PhotoStore`."""
        if self._kept_in is None:
            return ""
        path = Path(os.path.abspath(self._kept_in), sha256[:2], sha256)
        try:
            if not path.exists():
                write_whole(path, data, synced=True)
        except OSError as exc:
            raise Unavailable(f"{path} can't be written: {exc.strerror}; free space or correct MIRADOURO_INLINE_STORE") from exc
        return file_uri(str(path))

    def _path(self, uri: str) -> str:
        try:
            parts = urlsplit(uri)
        except ValueError as exc:
            raise InvalidArgument("uri", f"{named(uri)} is no URI; allowed: file:///absolute/path") from exc
        path = os.fsdecode(unquote_to_bytes(parts.path))
        plain = parts.scheme == "file" and parts.netloc in {"", "localhost"} and not parts.query and not parts.fragment
        if not (plain and path.startswith("/")) or "\0" in path:
            raise InvalidArgument("uri", f"{named(uri)} is not taken; allowed: file:///absolute/path, percent-encoded")
        path = os.path.normpath(path)
        if not _above(path, self._roots):
            allowed = ", ".join(self._roots) or "none; set MIRADOURO_PHOTO_ROOTS"
            raise InvalidArgument("uri", f"{named(uri)} does not lie below an allowed folder; allowed: {allowed}")
        return path

    def _check_root_of(self, path: str) -> None:
        """Raises Unavailable when the whole root is missing: its disk is not mounted."""
        if missing := [root for root in _above(path, self._mounted) if not os.path.isdir(root)]:
            raise Unavailable(f"the folder of photos {missing[0]} is not there; mount it, or correct MIRADOURO_PHOTO_ROOTS")


def _read_settled(path: str, limit_bytes: int) -> bytes:
    """The bytes of a file. Reads it once more when its size changed during the read. Raises NotRegular, OSError."""
    size_bytes = os.stat(path).st_size
    data = read_regular(path, limit_bytes)
    try:
        has_changed = os.stat(path).st_size != size_bytes
    except OSError:
        return data  # deleted after the read
    return read_regular(path, limit_bytes) if has_changed else data


def _above(path: str, roots: Sequence[str]) -> list[str]:
    return [root for root in roots if path == root or path.startswith(root.rstrip("/") + "/")]


def _translated(exc: OSError, uri: str) -> MiradouroError:
    if isinstance(exc, NotRegular):
        return BadPhoto("unreadable", f"{uri} is not a regular file")
    if exc.errno in _GONE:
        return BadPhoto("vanished", f"{uri} is not there (any more)")
    if exc.errno in _PASSING or is_shortage(exc):
        return Unavailable(f"{uri} can't be read now: {exc.strerror}; try again")
    if exc.errno in _UNREACHED:
        return OriginalUnavailable(f"{uri} can't be read now: {exc.strerror}")
    return BadPhoto("unreadable", f"{uri} can't be read: {exc.strerror}")
