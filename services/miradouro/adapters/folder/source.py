"""EventSource over a folder: the differences between its files and the photos that an index holds."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from miradouro.adapters.folder.deletions import Candidate, Deletions, is_live
from miradouro.adapters.folder.file_items import FileItems, unreadable
from miradouro.adapters.folder.file_kind import file_kind
from miradouro.adapters.folder.ignore_rules import IgnoreRules
from miradouro.adapters.folder.ordered_failures import OrderedFailures
from miradouro.adapters.folder.photo_id import path_of
from miradouro.adapters.folder.quiet_files import QuietFiles
from miradouro.adapters.folder.spool import Spool
from miradouro.adapters.folder.walk import Closed, File, Found, Inode, LeftOut, files_of, inode, left_out, walk
from miradouro.core.document import Failure
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.event import PhotoEvent
from miradouro.core.file_kind import FileKind
from miradouro.core.ignored_names import IgnoreCode, IgnoreReason
from miradouro.core.ports import (
    Ignored,
    NothingYet,
    OriginState,
    PhotoIndex,
    PhotoReader,
    SourceItem,
    Unsettled,
)
from miradouro.core.sidecars.pairing import is_sidecar_name

_REASONS = {
    FileKind.RAW: IgnoreReason(IgnoreCode.RAW_FILE, "it is a raw file of a camera"),
    FileKind.OTHER: IgnoreReason(IgnoreCode.NOT_A_PHOTO, "neither its name nor its first bytes are those of a picture"),
    FileKind.UNREADABLE: IgnoreReason(IgnoreCode.NOT_A_PHOTO, "its name is not that of a picture, and it can't be read"),
}
_ORPHAN = IgnoreReason(IgnoreCode.SIDECAR, "no photo that it could describe lies beside it")


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
        self._root, self._collection, self._index, self._prune = root, collection, index, prune
        self._excluded, self._within, self._rules = frozenset(_inodes(excluded)), within, rules or IgnoreRules()
        self._refusals, self._verify, self._quiet_files = refusals, verify, quiet_files
        self._file_items = FileItems(collection, file_uri=file_uri, reader=reader, first_version=first_version, verify=verify)
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
                yield self._file_items.deleted(state)
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
            yield self._file_items.refused(file.photo_id, 0, file.path, _unusable(file))
        elif isinstance(file, LeftOut):
            yield Ignored(file.photo_id, file.reason, file.is_folder)
        elif item := None if self._verify else self._file_items.untouched(file, state, refusal):
            yield item
        elif reason := _ignored_by_bytes(file.path):
            if state is not None and is_live(state):
                if file_kind(file.path) is FileKind.UNREADABLE:  # it may still be the photo
                    yield self._file_items.compared(file, state)
                    return
                yield self._file_items.deleted(state)
            yield Ignored(file.photo_id, reason)
        elif self._quiet_files is not None and not self._quiet_files.is_quiet(file.path):
            yield Unsettled(file.photo_id)
        else:
            yield self._file_items.compared(file, state)

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
                yield self._file_items.compared(file, states.get(file.photo_id))

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


def _ignored_by_bytes(path: str) -> IgnoreReason | None:
    kind = file_kind(path)
    return _ORPHAN if kind is FileKind.OTHER and is_sidecar_name(os.path.basename(path)) else _REASONS.get(kind)


def _unusable(folder: Closed) -> InvalidArgument:
    return unreadable(folder.path, folder.error) if isinstance(folder.error, OSError) else folder.error


def _inodes(folders: Sequence[Path]) -> Iterator[Inode]:
    for folder in folders:
        if folder.exists():
            status = folder.stat()
            yield status.st_dev, status.st_ino
