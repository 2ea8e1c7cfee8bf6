"""EventSource over a folder: what differs between its files and what an index remembers of them."""

import os
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from miradouro.adapters.folder.file_kind import FileKind, file_kind
from miradouro.adapters.folder.ignore_rules import IgnoreRules
from miradouro.adapters.folder.photo_id import path_of, photo_id_of
from miradouro.adapters.folder.sidecars import SidecarState, read_contents, sha256_of_contents, state_of
from miradouro.adapters.folder.walk import Closed, File, Inode, LeftOut, files_of, inode, left_out, sha256_of, walk
from miradouro.core.document import Origin
from miradouro.core.embedding import Priority
from miradouro.core.errors import BadPhoto, FailedPrecondition, InvalidArgument
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ignored_names import IgnoreCode, IgnoreReason
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.ports import Ignored, OriginState, PhotoReader, Refused, SourceItem, Unchanged
from miradouro.core.sidecars.beside import Beside, event_of_photo, read_beside
from miradouro.core.sidecars.pairing import is_sidecar_name

# A file may change again within the same tick of its file system's clock. One that changed this short a time ago is
# remembered with the time 0, so that the next run compares its contents instead of trusting its time.
_FRESH_NS = 2_000_000_000
_FRESH_SIDECARS = "0" * 64  # the same for sidecars; no files have this SHA-256
_REASONS = {
    FileKind.RAW: IgnoreReason(IgnoreCode.RAW_FILE, "it is a raw file of a camera"),
    FileKind.OTHER: IgnoreReason(IgnoreCode.NOT_A_PHOTO, "neither its name nor its first bytes are those of a picture"),
}
_ORPHAN = IgnoreReason(IgnoreCode.SIDECAR, "no photo that it could describe lies beside it")
_NAMESPACE = uuid.UUID("6f3c9f0e-6b1e-4c58-9a53-0d3f4c6a7a11")


@dataclass(frozen=True)
class FolderCount:
    """Files to look at, and photos that the index holds: all, those whose files are gone, those that rules ignore now.

    `rule` is one of those rules, empty where `ignored` is 0.
    """

    files: int
    known: int
    gone: int
    ignored: int
    rule: str


class FolderSource:
    """Brings a collection in line with the folder `root`, an absolute path.

    `known` returns the photos of the index, ordered by photo id; `file_uri` makes a URI of a path; `reader` reads XMP sidecars.
    `excluded` folders are left out, and so are the files that `rules` and ignore files name. Without `prune` nothing is deleted
    when the root is missing or more than half of the photos are gone or ignored. The photos of the index and the files are read
    in one pass, side by side, so memory doesn't grow with either.

    A file that can't be read, and the photos of a folder that can't be listed, are not gone: they stay in the index.

    `within` looks below one of the folders alone (see `walk`), and `known` gives what is remembered of that one; more than half
    of its photos gone is as much a reason to stop, for then the whole folder is to be asked.

    `first_version` is that of a photo of which nothing is remembered and whose sidecar doesn't count; it may raise OSError.
    """

    def __init__(
        self,
        root: str,
        *,
        collection: str,
        known: Callable[[], Iterator[OriginState]],
        file_uri: Callable[[str], str],
        reader: PhotoReader,
        excluded: Sequence[Path] = (),
        prune: bool = False,
        within: str = "",
        rules: IgnoreRules | None = None,
        first_version: Callable[[File], int] = lambda _: 1,
    ) -> None:
        self._root, self._collection, self._known, self._file_uri, self._prune = root, collection, known, file_uri, prune
        self._excluded, self._within, self._first_version = frozenset(_inodes(excluded)), within, first_version
        self._rules, self._reader = rules or IgnoreRules(), reader

    def count(self) -> FolderCount:
        """Looks through the folder's names without opening a file.

        Raises InvalidArgument when there is no such folder and nothing is known of it, and FailedPrecondition when it can't be
        listed, or when pruning is needed and not permitted.
        """
        files = known = gone = ignored = 0
        rule = ""
        for found, state in self._beside():
            if state is not None and _is_live(state):
                known += 1
                gone += found is None
                if isinstance(found, LeftOut):
                    ignored += 1
                    rule = rule or found.reason.text
            if isinstance(found, File) or (isinstance(found, LeftOut) and not found.is_folder):
                files += 1
        count = FolderCount(files, known, gone, ignored, rule)
        self._check(count)
        return count

    def events(self) -> Iterator[SourceItem]:
        """Events for new, changed and vanished photos, in the order of photo ids; and what was unchanged, ignored, refused.

        Raises FailedPrecondition when more photos vanish under way than may be deleted, or the root itself does.
        """
        root = inode(self._root)
        count = self.count()
        gone = ignored = 0
        for found, state in self._beside():
            if found is None or isinstance(found, LeftOut):
                if state is not None and _is_live(state):
                    gone += found is None
                    ignored += found is not None
                    self._check(replace(count, gone=gone, ignored=ignored))
                    self._check_is_still(root)
                    yield self._deleted(state)
                if isinstance(found, LeftOut) and not (found.is_folder and state is not None):
                    yield Ignored(found.photo_id, found.reason, found.is_folder)
            elif isinstance(found, Closed):
                yield self._refused(found.photo_id, 0, found.path, _unusable(found))
            elif reason := _ignored_by_bytes(found.path):
                if state is not None and _is_live(state):
                    yield self._deleted(state)
                yield Ignored(found.photo_id, reason)
            else:
                yield self._compared(found, state)

    def acknowledge(self, item: SourceItem) -> None:
        """See `EventSource.acknowledge`. Does nothing: the next run compares the files with the stored documents."""

    def again(self, photo_ids: Iterable[str]) -> Iterator[SourceItem]:
        """The files of these photos alone, compared as `events` does; the files that are gone are refused as vanished.

        Here `known` need give no more than what is remembered of these photos.
        """
        wanted = sorted(set(photo_ids), key=str.encode)
        states = {state.photo_id: state for state in self._known()}
        for file in files_of(self._root, wanted, rules=self._rules):
            is_there = os.path.lexists(file.path)
            if is_there and (reason := self._ignored(file)):
                yield Ignored(file.photo_id, reason)
            else:
                yield self._compared(file, states.get(file.photo_id))

    def takes(self, photo_id: str) -> bool:
        """Whether the file of a photo id is there, and neither ignored nor anything but a photo."""
        file = File(photo_id, os.path.join(self._root, path_of(photo_id)))
        return os.path.lexists(file.path) and self._ignored(file) is None

    def _ignored(self, file: File) -> IgnoreReason | None:
        found = left_out(self._root, file.photo_id, rules=self._rules)
        return found.reason if isinstance(found, LeftOut) else _ignored_by_bytes(file.path)

    def _beside(self) -> Iterator[tuple[File | LeftOut | Closed | None, OriginState | None]]:
        """Files and remembered photos of the same id side by side, None where one of both is missing.

        An ignored folder comes with every photo that is remembered of it, and then without one. What is remembered of photos
        below a folder that can't be listed is left out.
        """
        states = self._known()
        state = next(states, None)
        for found in self._walk():
            key = found.photo_id.encode()
            while state is not None and state.photo_id.encode() < key:
                yield None, state
                state = next(states, None)
            if isinstance(found, Closed):
                while state is not None and state.photo_id.startswith(found.photo_id):
                    state = next(states, None)
                yield found, None
            elif isinstance(found, LeftOut) and found.is_folder:
                while state is not None and state.photo_id.startswith(found.photo_id):
                    yield found, state
                    state = next(states, None)
                yield found, None
            elif state is not None and state.photo_id == found.photo_id:
                yield found, state
                state = next(states, None)
            else:
                yield found, None
        while state is not None:
            yield None, state
            state = next(states, None)

    def _walk(self) -> Iterator[File | LeftOut | Closed]:
        for found in walk(self._root, excluded=self._excluded, within=self._within, rules=self._rules):
            if isinstance(found, Closed) and not found.photo_id and found.path != self._root:
                raise _unusable(found)  # the ignore file of the root
            if isinstance(found, Closed) and isinstance(found.error, OSError) and found.path == self._root:
                if isinstance(found.error, FileNotFoundError) and self._prune:
                    return
                if not isinstance(found.error, FileNotFoundError):
                    raise FailedPrecondition(f"{self._root} can't be listed: {found.error.strerror}") from found.error
                if not any(_is_live(state) for state in self._known()):
                    raise InvalidArgument("path", f"there is no folder {self._root}") from found.error
                raise FailedPrecondition(
                    f"{self._root} is missing, and collection {self._collection!r} mirrors it; is its disk mounted? "
                    "Pass --prune to delete its photos from the index"
                ) from found.error
            yield found

    def _check(self, count: FolderCount) -> None:
        if self._prune or (count.gone + count.ignored) * 2 <= count.known:
            return
        photos = f"the {count.known:,} photos of collection {self._collection!r}"
        if not count.ignored:
            raise FailedPrecondition(
                f"{count.gone:,} of {photos} are no longer in {self._root}; "
                "is its disk mounted? Pass --prune to delete them from the index"
            )
        gone = f", and {count.gone:,} are no longer in {self._root}" if count.gone else ""
        raise FailedPrecondition(
            f"{count.ignored:,} of {photos} are ignored now ({count.rule}){gone}; "
            "correct the rule, or pass --prune to delete them from the index"
        )

    def _check_is_still(self, root: Inode | None) -> None:
        if inode(self._root) != root:
            raise FailedPrecondition(
                f"{self._root} vanished while collection {self._collection!r} was compared with it; no more was deleted; "
                "is its disk mounted?"
            )

    def _compared(self, file: File, state: OriginState | None) -> SourceItem:
        version = state.version + 1 if state else 1
        remembered = state.origin if state and not state.deleted else None
        try:
            now = time.time_ns()  # before anything is read: a change from here on shows the next time
            status = _regular(os.stat(file.path), file.path)
            beside = state_of(file.path, file.sidecars)
            remembered_sha256 = remembered.sidecars_sha256 if remembered else ""
            origin = Origin(status.st_size, status.st_mtime_ns, beside.fingerprint, remembered_sha256)
            if remembered == origin:
                return Unchanged(self._collection, file.photo_id, None)
            prefix = file.photo_id[: file.photo_id.rfind("/") + 1]
            contents = read_contents(file.path, file.sidecars, prefix=prefix)
            origin = Origin(
                status.st_size,
                _trusted(status.st_mtime_ns, now),
                _trusted_state(beside, now),
                sha256_of_contents(contents),
            )
            if state and not state.deleted and self._has_same_content(file, state, origin):
                return Unchanged(self._collection, file.photo_id, origin)
            described = read_beside(contents, photo_name=file.photo_id.removeprefix(prefix), read_xmp=self._read_xmp)
            version = _version(described, state, following=state.version + 1 if state else self._first_version(file))
            if state and version <= state.version:
                return Unchanged(self._collection, file.photo_id, None)
            return self._changed(file, state, described, version, origin)
        except OSError as exc:
            return self._refused(file.photo_id, version, file.path, _unreadable(file.path, exc))
        except InvalidArgument as exc:
            return self._refused(file.photo_id, version, file.path, exc)

    def _has_same_content(self, file: File, state: OriginState, origin: Origin) -> bool:
        beside = state.origin.sidecars_sha256 if state.origin else ""
        return beside == origin.sidecars_sha256 and sha256_of(file.path, origin.size_bytes + 1) == state.sha256

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

    def _deleted(self, state: OriginState) -> PhotoEvent:
        version = state.version + 1
        event_id = self._event_id(state.photo_id, version)
        return PhotoEvent(event_id, EventKind.DELETED, self._collection, state.photo_id, version)

    def _refused(self, photo_id: str, version: int, path: str, error: InvalidArgument) -> Refused:
        return Refused(self._collection, photo_id, version, self._file_uri(path), error)

    def _event_id(self, photo_id: str, version: int) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self._collection}\0{photo_id}\0{version}"))


def _version(beside: Beside, state: OriginState | None, *, following: int) -> int:
    """The sidecar's own count, or the following one; what comes back after it was deleted is always newer than the tombstone."""
    if beside.own.version is None:
        return following
    return max(beside.own.version, following) if state and state.deleted else beside.own.version


def _is_live(state: OriginState) -> bool:
    """Whether the folder answers for the photo: it isn't deleted, and it didn't come by event."""
    return not state.deleted and state.origin is not None


def _trusted(mtime_ns: int, now_ns: int) -> int:
    return mtime_ns if now_ns - mtime_ns > _FRESH_NS else 0


def _trusted_state(sidecars: SidecarState, now_ns: int) -> str:
    return sidecars.fingerprint if now_ns - sidecars.newest_ns > _FRESH_NS else _FRESH_SIDECARS


def _regular(status: os.stat_result, path: str) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise BadPhoto("unreadable", f"{_shown(path)} is not a regular file")
    return status


def _ignored_by_bytes(path: str) -> IgnoreReason | None:
    kind = file_kind(path)
    return _ORPHAN if kind is FileKind.OTHER and is_sidecar_name(os.path.basename(path)) else _REASONS.get(kind)


def _unusable(folder: Closed) -> InvalidArgument:
    return _unreadable(folder.path, folder.error) if isinstance(folder.error, OSError) else folder.error


def _unreadable(path: str, error: OSError) -> BadPhoto:
    name = _shown(path)
    if isinstance(error, FileNotFoundError) and not os.path.islink(path):
        return BadPhoto("vanished", f"{name} vanished while it was being indexed; index again")
    return BadPhoto("unreadable", f"{name} can't be read: {error.strerror}; check its permissions, or where it links to")


def _shown(path: str) -> str:
    """The file's name as text that can be sent and stored, whatever its bytes."""
    return photo_id_of(os.path.basename(path))


def _inodes(folders: Sequence[Path]) -> Iterator[Inode]:
    for folder in folders:
        if folder.exists():
            status = folder.stat()
            yield status.st_dev, status.st_ino
