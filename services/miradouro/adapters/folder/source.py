"""EventSource over a folder: the differences between its files and the photos that an index holds."""

import os
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from miradouro.adapters.folder.deletions import Candidate, Deletions, is_live
from miradouro.adapters.folder.file_kind import file_kind
from miradouro.adapters.folder.ignore_rules import IgnoreRules
from miradouro.adapters.folder.ordered_failures import OrderedFailures
from miradouro.adapters.folder.photo_id import path_of, photo_id_of
from miradouro.adapters.folder.quiet_files import QuietFiles
from miradouro.adapters.folder.sidecars import SidecarState, read_contents, sha256_of_contents, state_of
from miradouro.adapters.folder.spool import Spool
from miradouro.adapters.folder.walk import Closed, File, Found, Inode, LeftOut, files_of, inode, left_out, sha256_of, walk
from miradouro.core.document import Failure, Origin
from miradouro.core.embedding import Priority
from miradouro.core.errors import BadPhoto, FailedPrecondition, InvalidArgument
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.file_kind import FileKind
from miradouro.core.ignored_names import IgnoreCode, IgnoreReason
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.ports import (
    Ignored,
    NothingYet,
    OriginState,
    PhotoIndex,
    PhotoReader,
    Refused,
    SourceItem,
    Unchanged,
    Unsettled,
)
from miradouro.core.sidecars.beside import Beside, event_of_photo, read_beside
from miradouro.core.sidecars.pairing import is_sidecar_name

# A file may change again within the same tick of its file system's clock. A younger change is stored with the time 0: the next
# run then compares the file's contents instead of its time.
_FRESH_NS = 2_000_000_000
_FRESH_SIDECARS = "0" * 64  # the same for sidecars: a fingerprint that never matches
_REASONS = {
    FileKind.RAW: IgnoreReason(IgnoreCode.RAW_FILE, "it is a raw file of a camera"),
    FileKind.OTHER: IgnoreReason(IgnoreCode.NOT_A_PHOTO, "neither its name nor its first bytes are those of a picture"),
    FileKind.UNREADABLE: IgnoreReason(IgnoreCode.NOT_A_PHOTO, "its name is not that of a picture, and it can't be read"),
}
_ORPHAN = IgnoreReason(IgnoreCode.SIDECAR, "no photo that it could describe lies beside it")
_NAMESPACE = uuid.UUID("6f3c9f0e-6b1e-4c58-9a53-0d3f4c6a7a11")


_Beside = tuple[Found, OriginState | None, Failure | None]


class FolderSource:
    """Brings a collection in line with the folder `root`, an absolute path.

    `index` holds the collection's photos; None stands for an empty index. `file_uri` makes a URI of a path. `reader` reads XMP
    sidecars. `excluded` folders are skipped, as are files that match `rules` or an ignore file. The walk merges files and stored
    photos in the order of their ids and spools the differences to disk: memory does not grow with either.

    Deletions come last, after every new file is stored: the index no longer holds a moved photo under its old id by then. Without
    `prune` nothing is deleted when the root is missing, and `Deletions` withholds the deletion of more than half of the photos.
    Unreadable files and the photos of folders that cannot be listed stay in the index.

    `within` compares one folder only (see `walk`). The guard against deleting more than half then counts its photos only.

    `refusals` are the collection's failures, ordered by photo id: a failed photo is refused again without reading it while its
    files are unchanged. `verify` reads every file, to find changed bytes under unchanged size and times. `quiet_files`, from a
    watch, defers files that are still being written.

    `first_version` gives the version of a new photo without one in its sidecar; it may raise OSError.
    """

    def __init__(
        self,
        root: str,
        *,
        collection: str,
        index: PhotoIndex | None,
        file_uri: Callable[[str], str],
        reader: PhotoReader,
        excluded: Sequence[Path] = (),
        prune: bool = False,
        within: str = "",
        rules: IgnoreRules | None = None,
        first_version: Callable[[File], int] = lambda _: 1,
        refusals: Callable[[], Iterator[Failure]] = lambda: iter(()),
        verify: bool = False,
        quiet_files: QuietFiles | None = None,
    ) -> None:
        self._root, self._collection, self._index, self._file_uri, self._prune = root, collection, index, file_uri, prune
        self._excluded, self._within, self._first_version = frozenset(_inodes(excluded)), within, first_version
        self._rules, self._reader = rules or IgnoreRules(), reader
        self._refusals, self._verify, self._quiet_files = refusals, verify, quiet_files
        self.files = self.gone = self.withheld = 0
        self.withheld_reason = ""

    def events(self) -> Iterator[SourceItem | NothingYet]:
        """Walks the folder, then yields its items.

        First come new, changed, unchanged, ignored and refused files in the order of photo ids, then NothingYet, then the
        deletions of photos whose files are gone or ignored.

        From the first item on `files` is the number of files to compare and `gone` the number of stored photos without a file.
        At the end `withheld` is the number of photos whose deletion was withheld, for the `withheld_reason`.

        Raises InvalidArgument when the folder does not exist and the index holds none of its photos, and FailedPrecondition when
        it cannot be listed, is missing, or vanishes during the run.
        """
        self.files = self.gone = self.withheld = 0
        root = inode(self._root)
        with Spool[_Beside]() as found, Spool[Candidate]() as candidates:
            known = self._list(found, candidates)
            for file, state, refusal in found:
                yield from self._items(file, state, refusal)
            if not candidates or self._index is None:
                return
            yield NothingYet()
            deletions = Deletions(self._root, self._collection, self._index, known=known, takes=self.takes, prune=self._prune)
            for state in deletions.of(candidates):
                self._check_is_still(root)
                yield self._deleted(state)
            self.withheld, self.withheld_reason = deletions.withheld, deletions.reason

    def _list(self, found: Spool[_Beside], candidates: Spool[Candidate]) -> int:
        """Fills both spools from the walk. Returns the number of stored photos."""
        known = 0
        refusals = OrderedFailures(self._refusals())
        for file, state in self._beside():
            if state is not None and is_live(state):
                known += 1
                if file is None or isinstance(file, LeftOut):
                    candidates.append(Candidate(state.photo_id, file.reason.text if file else ""))
                    self.gone += file is None
            if file is not None and not (isinstance(file, LeftOut) and file.is_folder and state is not None):
                found.append((file, state, refusals.of(file.photo_id)))
                self.files += isinstance(file, File) or (isinstance(file, LeftOut) and not file.is_folder)
        return known

    def _items(self, file: Found, state: OriginState | None, refusal: Failure | None) -> Iterator[SourceItem]:
        if isinstance(file, Closed):
            yield self._refused(file.photo_id, 0, file.path, _unusable(file))
        elif isinstance(file, LeftOut):
            yield Ignored(file.photo_id, file.reason, file.is_folder)
        elif item := None if self._verify else self._untouched(file, state, refusal):
            yield item
        elif reason := _ignored_by_bytes(file.path):
            if state is not None and is_live(state):
                if file_kind(file.path) is FileKind.UNREADABLE:  # it may still be the photo
                    yield self._compared(file, state)
                    return
                yield self._deleted(state)
            yield Ignored(file.photo_id, reason)
        elif self._quiet_files is not None and not self._quiet_files.is_quiet(file.path):
            yield Unsettled(file.photo_id)
        else:
            yield self._compared(file, state)

    def may_grow(self, item: SourceItem, reason: str) -> bool:
        """Whether the item failed for `reason` because its file is still being written; always False outside a watch."""
        if self._quiet_files is None or not isinstance(item, PhotoEvent) or item.origin is None:
            return False
        return self._quiet_files.may_grow(os.path.join(self._root, path_of(item.photo_id)), item.origin, reason)

    def acknowledge(self, item: SourceItem) -> None:
        """See `EventSource.acknowledge`. Does nothing: the next run compares the files with the stored documents."""

    def again(self, photo_ids: Iterable[str]) -> Iterator[SourceItem]:
        """The items of these photos only, compared as in `events`. Missing files are refused as vanished."""
        wanted = sorted(set(photo_ids), key=str.encode)
        remembered = self._index.states(self._collection, wanted) if self._index else ()
        states = {state.photo_id: state for state in remembered}
        for file in files_of(self._root, wanted, rules=self._rules):
            is_there = os.path.lexists(file.path)
            if is_there and (reason := self._ignored(file)):
                yield Ignored(file.photo_id, reason)
            else:
                yield self._compared(file, states.get(file.photo_id))

    def takes(self, photo_id: str) -> bool:
        """Whether the file of a photo id exists and is indexed as a photo. An unreadable file counts as a photo."""
        file = File(photo_id, os.path.join(self._root, path_of(photo_id)))
        if not os.path.lexists(file.path):
            return False
        return self._ignored(file) in {None, _REASONS[FileKind.UNREADABLE]}

    def _ignored(self, file: File) -> IgnoreReason | None:
        found = left_out(self._root, file.photo_id, rules=self._rules)
        return found.reason if isinstance(found, LeftOut) else _ignored_by_bytes(file.path)

    def _beside(self) -> Iterator[tuple[File | LeftOut | Closed | None, OriginState | None]]:
        """Pairs of file and stored photo with the same id, None in place of a missing one.

        An ignored folder is paired with each of its stored photos, and at last with None. Stored photos below a folder that
        cannot be listed are skipped.
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

    def _known(self) -> Iterator[OriginState]:
        return self._index.origins(self._collection, within=self._within) if self._index else iter(())

    def _walk(self) -> Iterator[File | LeftOut | Closed]:
        for found in walk(self._root, excluded=self._excluded, within=self._within, rules=self._rules):
            if isinstance(found, Closed) and not found.photo_id and found.path != self._root:
                raise _unusable(found)  # the ignore file of the root
            if isinstance(found, Closed) and isinstance(found.error, OSError) and found.path == self._root:
                if isinstance(found.error, FileNotFoundError) and self._prune:
                    return
                if not isinstance(found.error, FileNotFoundError):
                    raise FailedPrecondition(f"{self._root} can't be listed: {found.error.strerror}") from found.error
                if not any(is_live(state) for state in self._known()):
                    raise InvalidArgument("path", f"there is no folder {self._root}") from found.error
                raise FailedPrecondition(
                    f"{self._root} is missing, and collection {self._collection!r} mirrors it; is its disk mounted? "
                    "Pass --prune to delete its photos from the index"
                ) from found.error
            yield found

    def _check_is_still(self, root: Inode | None) -> None:
        if inode(self._root) != root:
            raise FailedPrecondition(
                f"{self._root} vanished while collection {self._collection!r} was compared with it; no more was deleted; "
                "is its disk mounted?"
            )

    def _untouched(self, file: File, state: OriginState | None, refusal: Failure | None) -> SourceItem | None:
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

    def _compared(self, file: File, state: OriginState | None) -> SourceItem:
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
            return self._refused(file.photo_id, version, file.path, _unreadable(file.path, exc))
        except InvalidArgument as exc:
            return self._refused(file.photo_id, version, file.path, exc)

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

    def _deleted(self, state: OriginState) -> PhotoEvent:
        version = state.version + 1
        event_id = self._event_id(state.photo_id, version)
        return PhotoEvent(event_id, EventKind.DELETED, self._collection, state.photo_id, version)

    def _refused(self, photo_id: str, version: int, path: str, error: InvalidArgument) -> Refused:
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
    """The file's name as valid Unicode text."""
    return photo_id_of(os.path.basename(path))


def _inodes(folders: Sequence[Path]) -> Iterator[Inode]:
    for folder in folders:
        if folder.exists():
            status = folder.stat()
            yield status.st_dev, status.st_ino
