"""The items of single files: each file compared with its stored photo and its last failure."""

import os
import stat
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.adapters.folder.sidecars import SidecarState, read_contents, sha256_of_contents, state_of
from miradouro.adapters.folder.walk import File, sha256_of
from miradouro.core.document import Failure, Origin
from miradouro.core.embedding import Priority
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.ports import OriginState, PhotoReader, Refused, SourceItem, Unchanged
from miradouro.core.sidecars.beside import Beside, event_of_photo, read_beside

# A file may change again within the same tick of its file system's clock. A younger change is stored with the time 0: the next
# run then compares the file's contents instead of its time.
_FRESH_NS = 2_000_000_000
_FRESH_SIDECARS = "0" * 64  # the same for sidecars: a fingerprint that never matches
_NAMESPACE = uuid.UUID("6f3c9f0e-6b1e-4c58-9a53-0d3f4c6a7a11")


class FileItems:
    """Makes the items of a collection's files. The parameters are those of `FolderSource`."""

    def __init__(
        self,
        collection: str,
        *,
        file_uri: Callable[[str], str],
        reader: PhotoReader,
        first_version: Callable[[File], int],
        verify: bool,
    ) -> None:
        self._collection, self._file_uri, self._reader = collection, file_uri, reader
        self._first_version, self._verify = first_version, verify

    def untouched(self, file: File, state: OriginState | None, refusal: Failure | None) -> SourceItem | None:
        """The item of a file whose state equals the one stored with its document or failure; None otherwise."""
        remembered = state.origin if state and not state.deleted else None
        refused = refusal.origin if refusal else None
        if remembered is None and refused is None:
            return None
        try:
            now = _origin_of(os.stat(file.path), state_of(file.path, file.sidecars).fingerprint)
        except OSError:
            return None
        if remembered == replace(now, sidecars_sha256=remembered.sidecars_sha256 if remembered else ""):
            return Unchanged(self._collection, file.photo_id, None)
        if (
            refusal
            and refusal.reason in BadPhoto.REASONS
            and refused
            and refused == replace(now, sidecars_sha256=refused.sidecars_sha256)
        ):
            error = BadPhoto(refusal.reason, refusal.message.removeprefix("photo: "))
            uri = self._file_uri(file.path)
            return Refused(self._collection, file.photo_id, refusal.version, uri, error, is_recorded=True)
        return None

    def compared(self, file: File, state: OriginState | None) -> SourceItem:
        """The item of a file, by comparing its contents and sidecars with its stored photo; `Refused` if it can't be read."""
        version = state.version + 1 if state else 1
        try:
            now = time.time_ns()  # before the first read: the next run notices any later change
            status = _regular(os.stat(file.path), file.path)
            beside = state_of(file.path, file.sidecars)
            prefix = file.photo_id[: file.photo_id.rfind("/") + 1]
            contents = read_contents(file.path, file.sidecars, prefix=prefix)
            origin = replace(
                _origin_of(status, _trusted_state(beside, now)),
                mtime_ns=_trusted(status.st_mtime_ns, now),
                sidecars_sha256=sha256_of_contents(contents),
            )
            if state and not state.deleted and self._has_same_content(file, state, origin):
                return Unchanged(self._collection, file.photo_id, None if origin == state.origin else origin)
            described = read_beside(contents, photo_name=file.photo_id.removeprefix(prefix), read_xmp=self._read_xmp)
            version = _version(described, state, following=state.version + 1 if state else self._first_version(file))
            if state and version <= state.version:
                return Unchanged(self._collection, file.photo_id, None)
            return self._changed(file, state, described, version, origin)
        except OSError as exc:
            return self.refused(file.photo_id, version, file.path, unreadable(file.path, exc))
        except InvalidArgument as exc:
            return self.refused(file.photo_id, version, file.path, exc)

    def _has_same_content(self, file: File, state: OriginState, origin: Origin) -> bool:
        before = state.origin  # not by size alone: the size is older than the bytes of `state.sha256`
        if (before.sidecars_sha256 if before else "") != origin.sidecars_sha256:
            return False
        if before is not None and not self._verify and origin.mtime_ns:
            with_its_sidecars = replace(before, sidecars_state=origin.sidecars_state)
            if with_its_sidecars == origin:  # only the state of a sidecar changed
                return True
        return sha256_of(file.path, origin.size_bytes + 1) == state.sha256

    def _read_xmp(self, data: bytes) -> PhotoMetadata:
        return self._reader.xmp_sidecar(data, priority=Priority.BULK)

    def _changed(self, file: File, state: OriginState | None, beside: Beside, version: int, origin: Origin) -> PhotoEvent:
        return event_of_photo(
            beside,
            event_id=self._event_id(file.photo_id, version),
            kind=EventKind.UPDATED if state and not state.deleted else EventKind.UPLOADED,
            collection=self._collection,
            photo_id=file.photo_id,
            version=version,
            uri=self._file_uri(file.path),
            origin=origin,
        )

    def deleted(self, state: OriginState) -> PhotoEvent:
        """The event that deletes a stored photo."""
        version = state.version + 1
        event_id = self._event_id(state.photo_id, version)
        return PhotoEvent(event_id, EventKind.DELETED, self._collection, state.photo_id, version)

    def refused(self, photo_id: str, version: int, path: str, error: InvalidArgument) -> Refused:
        """The item of a file, or of a folder, that can't be indexed; `version` is 0 for a folder."""
        return Refused(self._collection, photo_id, version, self._file_uri(path), error)

    def _event_id(self, photo_id: str, version: int) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self._collection}\0{photo_id}\0{version}"))


def _version(beside: Beside, state: OriginState | None, *, following: int) -> int:
    """The version in the sidecar, otherwise the `following` one. A restored photo is always newer than its tombstone."""
    if beside.own.version is None:
        return following
    return max(beside.own.version, following) if state and state.deleted else beside.own.version


def _origin_of(status: os.stat_result, sidecars_state: str) -> Origin:
    return Origin(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, sidecars_state, "")


def _trusted(mtime_ns: int, now_ns: int) -> int:
    return mtime_ns if now_ns - mtime_ns > _FRESH_NS else 0


def _trusted_state(sidecars: SidecarState, now_ns: int) -> str:
    return sidecars.fingerprint if now_ns - sidecars.newest_ns > _FRESH_NS else _FRESH_SIDECARS


def _regular(status: os.stat_result, path: str) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise BadPhoto("unreadable", f"{_shown(path)} is not a regular file")
    return status


def unreadable(path: str, error: OSError) -> BadPhoto:
    """The error of a file or folder that can't be read, or is no longer there."""
    name = _shown(path)
    if isinstance(error, FileNotFoundError) and not os.path.islink(path):
        return BadPhoto("vanished", f"{name} vanished while it was being indexed; index again")
    return BadPhoto("unreadable", f"{name} can't be read: {error.strerror}; check its permissions, or where it links to")


def _shown(path: str) -> str:
    """The file's name as valid Unicode text."""
    return photo_id_of(os.path.basename(path))
