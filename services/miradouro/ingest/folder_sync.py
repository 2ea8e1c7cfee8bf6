"""Keeps collections in line with folders: permissions for folders, their claim on a collection, and the runs over them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from miradouro.adapters.folder.ignore_rules import IgnoreRules
from miradouro.adapters.folder.quiet_files import QuietFiles
from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.photo_store import file_uri
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import check_collection
from miradouro.core.ports import DeadLetters, PhotoIndex
from miradouro.core.storable import other_root
from miradouro.ingest.collection_upkeep import CollectionUpkeep
from miradouro.ingest.failure_pages import failures_within
from miradouro.ingest.folder_plan import FolderPlan, plan_folder
from miradouro.ingest.folder_run import FolderProgress, FolderReport, MoreFailed, forget_failures_without_photo, index_folder
from miradouro.ingest.moves import Moves
from miradouro.ingest.run_factory import RunFactory
from miradouro.ingest.runner import Runner
from miradouro.runtime.call import Call


class FolderSync:
    """Runs over folders. `excluded` folders (the data folder) are never indexed.

    The owner may index any other folder, other callers only folders below `folders`.
    """

    def __init__(
        self,
        *,
        index: PhotoIndex,
        dead_letters: DeadLetters,
        collections: CollectionUpkeep,
        runner: Runner,
        runs: RunFactory,
        excluded: Sequence[Path] = (),
        folders: Sequence[Path] = (),
    ) -> None:
        self._index, self._dead_letters, self._collections = index, dead_letters, collections
        self._runner, self._runs = runner, runs
        self._excluded, self._folders = excluded, folders

    def check_may_index(self, root: str, call: Call) -> None:
        """Raises InvalidArgument unless the caller may index the folder: every caller with search permission sees its photos."""
        if call.caller.is_owner or any(Path(root).is_relative_to(os.path.realpath(folder)) for folder in self._folders):
            return
        raise InvalidArgument(
            "path",
            f"{shown(root)} does not lie below a folder of MIRADOURO_PHOTO_ROOTS; "
            "another folder may be indexed with the token of the data folder alone",
        )

    def claim(self, path: str, collection: str, *, preset: str = "", tagger: str = "") -> str:
        """Makes the folder `path` the root of the collection, or checks that it is. Returns it with links resolved.

        `preset` and `tagger` apply to a new collection. A missing folder is accepted when it is already the collection's root.
        Raises InvalidArgument (path, collection, preset, tagger) and FailedPrecondition (another root, preset or tagger).
        """
        root = real_root(path)
        self._check_is_not_excluded(root)
        check_collection(collection)
        if not os.path.isdir(root) and self._collections.root_of(collection) != root:
            raise InvalidArgument("path", f"there is no folder {root}")
        self._collections.ensure(collection, root=root, preset=preset, tagger=tagger)
        return root

    def follow(
        self,
        root: str,
        collection: str,
        call: Call,
        *,
        prune: bool = False,
        within: str = "",
        rules: IgnoreRules | None = None,
        verify: bool = False,
        preset: str = "",
        tagger: str = "",
        quiet_files: QuietFiles | None = None,
        waits: bool = False,
    ) -> Iterator[FolderProgress | MoreFailed | FolderReport]:
        """Brings a collection in line with its folder, or with one folder `within` it; see `FolderSource`.

        Runs of a collection exclude each other: with `waits` this run waits for the other one, otherwise it raises
        FailedPrecondition. Raises the errors of `claim`, `FolderSource.events` and `Runner.run`.
        """
        with self._collections.exclusive(collection, waits_for=call if waits else None):
            if call.cancelled.is_set():
                return
            self.claim(root, collection, preset=preset, tagger=tagger)
            source = FolderSource(
                root,
                collection=collection,
                index=self._index,
                file_uri=file_uri,
                reader=self._runs.reader,
                excluded=self._excluded,
                prune=prune,
                within=within,
                rules=rules,
                refusals=lambda: failures_within(self._dead_letters, collection, within),
                verify=verify,
                quiet_files=quiet_files,
            )
            run = self._runs.folder_run(root, call)
            for message in index_folder(source, moves=Moves(root, self._index), runner=self._runner, run=run):
                if isinstance(message, FolderReport) and not call.cancelled.is_set():
                    forget_failures_without_photo(
                        source, collection, within=within, index=self._index, dead_letters=self._dead_letters
                    )
                yield message

    def plan(
        self, root: str, collection: str, *, prune: bool = False, rules: IgnoreRules | None = None, verify: bool = False
    ) -> Iterator[FolderPlan | FolderReport]:
        """The plan of `follow`, without any change; the collection need not exist.

        Raises InvalidArgument (path), FailedPrecondition (another root), and the errors of `FolderSource.events`.
        """
        self._check_is_not_excluded(root)
        stored = self._collections.known(collection)
        if stored is not None and stored.root != root:
            raise other_root(collection, stored.root, root)
        source = FolderSource(
            root,
            collection=collection,
            index=self._index if stored else None,
            file_uri=file_uri,
            reader=self._runs.reader,
            excluded=self._excluded,
            prune=prune,
            rules=rules,
            refusals=lambda: failures_within(self._dead_letters, collection, ""),
            verify=verify,
        )
        yield from plan_folder(source)

    def _check_is_not_excluded(self, root: str) -> None:
        for kept in self._excluded:
            if Path(root).is_relative_to(os.path.realpath(kept)):
                raise InvalidArgument(
                    "path", f"{shown(root)} is the data folder {str(kept)!r} or lies in it; name the photos' own folder"
                )


def real_root(path: str) -> str:
    """The folder with links resolved. Raises InvalidArgument for a path that is not absolute."""
    if not path.startswith("/") or "\0" in path:
        raise InvalidArgument("path", f"{shown(path)} is not an absolute path")
    return os.path.realpath(path)
