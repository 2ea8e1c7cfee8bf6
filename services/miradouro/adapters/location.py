"""Lists the photos of an fsspec location: ids, URIs, times and sidecars, without reading the photos."""

import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import fsspec
from fsspec.implementations.local import LocalFileSystem

from miradouro.core.errors import ConfigurationError, InvalidArgument, MiradouroError, Unavailable
from miradouro.core.file_kind import FileKind, is_photo_name, kind_by_bytes, kind_by_name
from miradouro.core.ignored_names import ignored_by_name
from miradouro.core.redaction import public_error, public_uri
from miradouro.core.sidecars.beside import READ_BYTES, SidecarContent
from miradouro.core.sidecars.pairing import Role, SidecarNames, is_sidecar_name

_TIMES = ("LastModified", "mtime", "last_modified")  # keys of the modification time in listings, which saves a request per photo
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}  # protocol → extra of this package


@dataclass(frozen=True)
class Listed:
    """A photo. `modified_ms` is the latest modification of it and its sidecars, in ms since 1970; None without times."""

    photo_id: str
    uri: str
    modified_ms: int | None
    sidecars: tuple[SidecarContent, ...]


@dataclass(frozen=True)
class Unlisted:
    """A file or folder that cannot be read, and the reason."""

    where: str
    error: InvalidArgument


class Location:
    """The folder at `uri`: a path, or a URL that an installed fsspec implementation supports.

    `s3_endpoint` is a URL, empty for AWS. Raises ConfigurationError (no implementation) and InvalidArgument.
    """

    def __init__(self, uri: str, *, s3_endpoint: str = "") -> None:
        self._uri = uri
        if uri.startswith("file:"):  # fsspec does not decode percent-encoded paths
            uri = url2pathname(urlsplit(uri).path)
        extra = _EXTRAS.get(uri.partition("://")[0], "")
        options: dict[str, Any] = {"endpoint_url": s3_endpoint} if extra == "s3" and s3_endpoint else {}
        try:
            self._files, path = fsspec.core.url_to_fs(uri, use_listings_cache=False, skip_instance_cache=True, **options)
        except ImportError as exc:
            install = f"install miradouro[{extra}]" if extra else "install the package that fsspec names"
            raise ConfigurationError(f"{_named(uri)} can't be read: {public_error(exc, uri)}; {install}") from exc
        except ValueError as exc:
            what = f"{_named(uri)}: {public_error(exc, uri)}"
            raise InvalidArgument("uri", f"{what}; allowed: a folder, s3://bucket/folder, or what fsspec knows") from exc
        self._root = str(path).rstrip("/")
        self.uri = str(self._files.unstrip_protocol(self._root or "/"))  # normalized: one spelling per location

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None for a remote location."""
        return Path(self._root or "/") if isinstance(self._files, LocalFileSystem) else None

    def photos(self, *, after: str = "") -> Iterator[Listed | Unlisted]:
        """Every photo whose id comes after `after`, ordered by the UTF-8 bytes of the ids, which are paths below the location.

        A file is a photo by its name, otherwise by its first bytes, which cost one request per file. Names that are ignored by
        default are skipped. Memory grows with the largest folder.

        Raises InvalidArgument (the location is empty or not a folder), Unavailable.
        """
        levels = [iter(self._entries(self._root, after))]
        while levels:
            entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
            elif isinstance(entry, Unlisted):
                yield entry
            elif entry.is_folder:
                levels.append(iter(self._entries(entry.path, after)))
            else:
                listed = self._listed(entry)
                if listed is not None:
                    yield listed

    def _entries(self, folder: str, after: str) -> Sequence["_Entry | Unlisted"]:
        """The entries of a folder in order, without those that end before `after`. Photos carry their sidecars."""
        try:
            found = self._files.ls(folder, detail=True)
        except FileNotFoundError as exc:
            if folder != self._root:
                return []  # deleted during the listing
            raise InvalidArgument("uri", f"there is nothing at {_named(self._uri)}") from exc
        except PermissionError as exc:
            return [Unlisted(f"{self._id_of(folder)}/", InvalidArgument("uri", _problem(folder, "can't be listed", exc)))]
        except Exception as exc:  # each implementation raises its own classes
            raise _unanswered(folder, exc) from exc
        if folder == self._root and [self._path_of(one) for one in found if one["type"] == "file"] == [folder]:
            raise InvalidArgument("uri", f"{_named(self._uri)} is a file; name the folder that it lies in")
        names = {posixpath.basename(path): one for one in found if (path := self._path_of(one)) != folder}
        files = (name for name, one in names.items() if one["type"] != "directory")
        sidecars = SidecarNames(name for name in files if is_sidecar_name(name))
        entries: list[_Entry | Unlisted] = []
        for name, one in names.items():
            is_folder = one["type"] == "directory"
            key = self._id_of(f"{folder}/{name}") + ("/" if is_folder else "")
            is_passed = key.encode() <= after.encode() and not (is_folder and after.startswith(key))
            is_ignored = ignored_by_name(name, is_folder=is_folder, parent=posixpath.basename(folder)) is not None
            if is_ignored or is_passed or (is_sidecar_name(name) and not is_folder):
                continue
            beside = () if is_folder else tuple((names[other.name], other.role) for other in sidecars.of(name))
            entries.append(_Entry(key, f"{folder}/{name}", is_folder, one, beside))
        if any(one["type"] == "directory" and one["name"] == f"{folder}/" for one in found):
            wrong = InvalidArgument("uri", f"{_named(folder)}// holds something, in a folder without a name; give it one")
            entries.append(Unlisted(f"{self._id_of(folder)}//", wrong))
        return sorted(entries, key=lambda entry: entry.key.encode() if isinstance(entry, _Entry) else b"")

    def _listed(self, entry: "_Entry") -> Listed | Unlisted | None:
        """The photo; None when the file is not a photo."""
        try:
            if not self._is_photo(entry):
                return None
            sidecars = tuple(self._content(row, role) for row, role in entry.beside)
            times = [self._modified_ms(row) for row in (entry.row, *(row for row, _ in entry.beside))]
        except FileNotFoundError:
            return None  # deleted during the listing
        except PermissionError as exc:
            return Unlisted(entry.key, InvalidArgument("photo", _problem(entry.path, "can't be read", exc)))
        except Exception as exc:
            if isinstance(exc, MiradouroError):
                raise
            raise _unanswered(entry.path, exc) from exc
        known = [time for time in times if time is not None]
        modified_ms = max(known) if len(known) == len(times) else None
        return Listed(entry.key, self._files.unstrip_protocol(entry.path), modified_ms, sidecars)

    def _content(self, row: Mapping[str, Any], role: Role) -> SidecarContent:
        path = self._path_of(row)
        try:
            data = self._files.cat_file(path, start=0, end=READ_BYTES) if row["size"] != 0 else b""
        except (FileNotFoundError, PermissionError) as exc:
            return SidecarContent(self._id_of(path), role, b"", f"it can't be read: {public_error(exc, path)}")
        return SidecarContent(self._id_of(path), role, data)

    def _is_photo(self, entry: "_Entry") -> bool:
        name = posixpath.basename(entry.path)
        if is_photo_name(name):
            return True
        if entry.row["size"] == 0:
            return kind_by_name(name) is FileKind.PHOTO

        def read_at(offset: int, size: int) -> bytes:
            if size == 0 or offset >= (entry.row["size"] or math.inf):
                return b""  # some implementations raise for an empty range
            return bytes(self._files.cat_file(entry.path, start=offset, end=offset + size))

        return kind_by_bytes(name, read_at) is FileKind.PHOTO

    def _modified_ms(self, row: Mapping[str, Any]) -> int | None:
        found = next((row[name] for name in _TIMES if row.get(name) is not None), None)
        if found is None:
            try:
                found = self._files.modified(self._path_of(row))
            except NotImplementedError:
                return None
        if isinstance(found, datetime):
            found = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        return max(1, round(float(found) * 1_000))

    def _path_of(self, row: Mapping[str, Any]) -> str:
        return str(row["name"]).rstrip("/")

    def _id_of(self, path: str) -> str:
        return path[len(self._root) + 1 :]


@dataclass(frozen=True)
class _Entry:
    """A file or folder: `key` is its id, with a / at the end for a folder; `row` and `beside` are rows of the listing."""

    key: str
    path: str
    is_folder: bool
    row: Mapping[str, Any]
    beside: tuple[tuple[Mapping[str, Any], Role], ...]


def _unanswered(path: str, exc: Exception) -> Unavailable:
    problem = _problem(path, "can't be read now", exc)
    return Unavailable(f"{problem}; run it again, it goes on from where it stopped")


def _problem(path: str, what: str, exc: Exception) -> str:
    return f"{_named(path)} {what}: {public_error(exc, path) if _is_uri(path) else exc}"


def _named(path: str) -> str:
    """A URI without its secrets. A path is returned unchanged: it may contain any characters."""
    return public_uri(path) if _is_uri(path) else path


def _is_uri(path: str) -> bool:
    return "://" in path
