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
# What a disk says that lies elsewhere and does not answer; of a disk here, that it is broken.
_UNREACHED = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH}


def file_uri(path: str) -> str:
    """The URI of an absolute path as the operating system gives it; bytes that are no UTF-8 are kept, percent-encoded."""
    return "file://" + quote_from_bytes(os.fsencode(path))


class FileStore:
    """PhotoStore over the file system, for what lies below `roots` and nothing else; links below them are followed.

    Inline photos are kept in the folder `kept_in`, which is one of the roots then.
    """

    def __init__(self, roots: Sequence[Path], *, kept_in: Path | None = None) -> None:
        self._kept_in = kept_in
        self._mounted = [os.path.normpath(os.path.abspath(root)) for root in roots]
        # The folder of inline photos comes with the first of them.
        self._roots = [*self._mounted, *([os.path.normpath(os.path.abspath(kept_in))] if kept_in else [])]

    @property
    def roots(self) -> list[Path]:
        """The folders below which it reads."""
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
        """Raises Unavailable when it is no photo that is missing, but the disk with all of them."""
        if missing := [root for root in _above(path, self._mounted) if not os.path.isdir(root)]:
            raise Unavailable(f"the folder of photos {missing[0]} is not there; mount it, or correct MIRADOURO_PHOTO_ROOTS")


def _read_settled(path: str, limit_bytes: int) -> bytes:
    """The bytes of a file; one whose size changes meanwhile is read once more. Raises NotRegular, OSError."""
    size_bytes = os.stat(path).st_size
    data = read_regular(path, limit_bytes)
    try:
        has_changed = os.stat(path).st_size != size_bytes
    except OSError:
        return data  # it went when it had been read
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
