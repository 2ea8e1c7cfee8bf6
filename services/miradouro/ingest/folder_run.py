"""Brings a collection in line with a folder, and counts the results."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Generic, TypeVar

from miradouro.adapters.folder.source import FolderSource
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.pipeline import tombstone
from miradouro.core.ports import DeadLetters, Ignored, PhotoIndex, SourceItem
from miradouro.core.query import MAX_LIMIT
from miradouro.core.sidecars.beside import SidecarFault
from miradouro.ingest.failure_pages import failures_within
from miradouro.ingest.moves import Moves
from miradouro.ingest.outcome import Outcome, Status
from miradouro.ingest.run import Run
from miradouro.ingest.runner import Runner

MAX_REPORTED = 1_000  # failures, and sidecars, in one message
_PROGRESS_INTERVAL_S = 0.1
T = TypeVar("T")


@dataclass(frozen=True)
class FolderProgress:
    """Files looked at, files to look at, and the one finished last."""

    done: int
    total: int
    path: str


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be indexed: its path below the folder, a short code for programs, and the reason as a sentence."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True)
class MoreFailed:
    """At most MAX_REPORTED failed files, and as many sidecars, beyond the first ones, which are in the report."""

    failed: tuple[FailedFile, ...]
    sidecars: tuple[SidecarFault, ...] = ()


@dataclass(frozen=True)
class FolderReport:
    """The counts of a run, its first MAX_REPORTED failed files, and as many sidecars that were not read in full.

    `ignored_by` counts ignored files by `IgnoreCode`, without the contents of ignored folders. `moved` photos keep their stored
    documents under a new id. `withheld` counts photos without a file whose deletion is withheld, for the `withheld_reason`.
    `unsettled` is the deepest folder that contains every file still being written, as a prefix of photo ids; None without such
    files.
    """

    indexed: int = 0
    moved: int = 0
    unchanged: int = 0
    deleted: int = 0
    withheld: int = 0
    withheld_reason: str = ""
    unsettled: str | None = None
    ignored: int = 0
    ignored_by: Mapping[str, int] = field(default_factory=dict)
    ignored_folders: int = 0
    failed: tuple[FailedFile, ...] = ()
    failed_total: int = 0
    sidecars: tuple[SidecarFault, ...] = ()
    sidecars_total: int = 0


def index_folder(
    source: FolderSource, *, moves: Moves, runner: Runner, run: Run
) -> Iterator[FolderProgress | MoreFailed | FolderReport]:
    """Progress, at most every 0.1 s, and finally the report; a cancelled run reports its results so far.

    Raises the errors of `FolderSource.events` and `Runner.run`.
    """
    yield FolderProgress(0, 0, "")
    items = source.events()
    first = list(islice(items, 1))  # the folder is listed now
    total = source.files
    yield FolderProgress(0, total, "")
    run = replace(run, may_grow=source.may_grow)
    if source.gone:
        run = replace(run, moved_from=moves.moved_from)
    tally = _Tally()
    reported_at = time.monotonic()
    for outcome in runner.run(chain(first, items), run):
        source.acknowledge(outcome.item)
        tally.add(outcome)
        if tally.is_full() and (more := tally.more_failed()):
            yield more
        if time.monotonic() - reported_at >= _PROGRESS_INTERVAL_S:
            reported_at = time.monotonic()
            yield FolderProgress(min(tally.done, total), total, path_of_item(outcome.item))
    if not run.cancelled.is_set():
        yield FolderProgress(total, total, "")
    if more := tally.more_failed():
        yield more
    yield replace(tally.report(), withheld=source.withheld, withheld_reason=source.withheld_reason)


def forget_failures_without_photo(
    source: FolderSource, collection: str, *, within: str = "", index: PhotoIndex, dead_letters: DeadLetters
) -> None:
    """Writes tombstones for failed photos whose files are gone or ignored: without a stored document no comparison finds them.

    Stored photos are left to the comparison, which may withhold their deletion.
    """
    failures = failures_within(dead_letters, collection, within)
    gone = (failure for failure in failures if failure.uri.startswith("file:") and not source.takes(failure.photo_id))
    while part := {failure.photo_id: failure.version for failure in islice(gone, MAX_LIMIT)}:
        stored = {state.photo_id for state in index.states(collection, list(part)) if not state.deleted}
        index.write(
            [
                tombstone(PhotoEvent("gone", EventKind.DELETED, collection, photo_id, version))
                for photo_id, version in part.items()
                if photo_id not in stored
            ]
        )


class _Tally:
    def __init__(self) -> None:
        self.done = 0
        self._counts = FolderReport()
        self._ignored_by: Counter[str] = Counter()
        self._failed: _Entries[FailedFile] = _Entries()
        self._sidecars: _Entries[SidecarFault] = _Entries()
        self._seen: set[str] = set()  # paths of sidecars: some serve several photos

    def add(self, outcome: Outcome) -> None:
        counts, item = self._counts, outcome.item
        is_deletion = isinstance(item, PhotoEvent) and item.kind is EventKind.DELETED
        is_folder = isinstance(item, Ignored) and item.is_folder
        self.done += not (is_deletion or is_folder)
        if isinstance(item, PhotoEvent) and item.beside is not None:
            self._add_sidecars(item.beside.faults)
        if outcome.status is Status.FAILED:
            self._failed.add(FailedFile(path_of_item(item), outcome.reason, outcome.message))
        elif outcome.status is Status.UNSETTLED:
            self._add_unsettled(path_of_item(item))
        elif isinstance(item, Ignored) and item.is_folder:
            self._counts = replace(counts, ignored_folders=counts.ignored_folders + 1)
        elif isinstance(item, Ignored):
            self._counts = replace(counts, ignored=counts.ignored + 1)
            self._ignored_by[item.reason.code] += 1
        elif outcome.status is not Status.STORED:
            self._counts = replace(counts, unchanged=counts.unchanged + 1)
        elif is_deletion:
            self._counts = replace(counts, deleted=counts.deleted + 1)
        elif outcome.moved:
            self._counts = replace(counts, moved=counts.moved + 1)
        else:
            self._counts = replace(counts, indexed=counts.indexed + 1)

    def is_full(self) -> bool:
        """Whether the entries beyond the report fill a message."""
        return max(len(self._failed.more), len(self._sidecars.more)) >= MAX_REPORTED

    def more_failed(self) -> MoreFailed | None:
        """Removes and returns those entries; None without any."""
        failed, sidecars = self._failed.take_more(), self._sidecars.take_more()
        return MoreFailed(failed, sidecars) if failed or sidecars else None

    def report(self) -> FolderReport:
        return replace(
            self._counts,
            ignored_by=dict(self._ignored_by),
            failed=tuple(self._failed.first),
            failed_total=self._failed.total,
            sidecars=tuple(self._sidecars.first),
            sidecars_total=self._sidecars.total,
        )

    def _add_unsettled(self, photo_id: str) -> None:
        folder = photo_id[: photo_id.rfind("/") + 1]
        before = self._counts.unsettled
        both = os.path.commonpath([folder, folder if before is None else before])
        self._counts = replace(self._counts, unsettled=f"{both}/" if both else "")

    def _add_sidecars(self, faults: Iterable[SidecarFault]) -> None:
        for fault in faults:
            if fault.path not in self._seen:
                self._sidecars.add(fault)
                self._seen.add(fault.path)
        if len(self._seen) > MAX_REPORTED:
            self._seen.clear()


class _Entries(Generic[T]):
    """The first MAX_REPORTED entries, and those after them until they are taken."""

    def __init__(self) -> None:
        self.first: list[T] = []
        self.more: list[T] = []
        self.total = 0

    def add(self, entry: T) -> None:
        (self.first if len(self.first) < MAX_REPORTED else self.more).append(entry)
        self.total += 1

    def take_more(self) -> tuple[T, ...]:
        more, self.more = self.more, []
        return tuple(more)


def path_of_item(item: SourceItem) -> str:
    """The photo id; for other files the path below the folder."""
    return item.path if isinstance(item, Ignored) else item.photo_id
