"""Keeps a collection in line with a folder for as long as it is watched."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from miradouro.adapters.folder.ignore_rules import IgnoreRules, rules_of_run
from miradouro.adapters.folder.quiet_files import QuietFiles
from miradouro.adapters.folder.watch import EVERYTHING, touched
from miradouro.core.errors import MiradouroError
from miradouro.ingest.folder_run import FolderProgress, FolderReport
from miradouro.ingest.folder_sync import FolderSync
from miradouro.ingest.pace import PACE, Pace
from miradouro.runtime.call import Call

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # after a failed comparison; doubled each time
REST, LONGEST_REST_S = 1.0, 10.0  # the rest after a comparison, as a share of its duration: changes never occupy the machine

# Collection → a block that shows the progress of one comparison.
Shown = Callable[[str], AbstractContextManager[Callable[[FolderProgress], None]]]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Watched:
    """Watched folders. `start` begins; the end of the block of `watching`, or an earlier `stop`, ends the watches."""

    start: Callable[[], None]
    stop: Callable[[], None]


@contextmanager
def watching(
    sync: FolderSync,
    folders: Mapping[str, Path],
    *,
    excluded: list[Path],
    shown: Shown,
    ignore: Sequence[str] = (),
    pace: Pace = PACE,
) -> Iterator[Watched]:
    """Watches `folders` (collection → folder), each on a thread of its own, from `start` on until the block ends.

    `ignore` holds gitignore patterns, which apply to every folder. Raises at once InvalidArgument for a wrong pattern, and the
    errors of `FolderSync.claim`: a missing folder, or a folder that is not the collection's.
    """
    rules = rules_of_run(ignore)
    roots = {collection: sync.claim(os.path.abspath(folder), collection) for collection, folder in folders.items()}
    stop = threading.Event()
    watches = [_Watch(sync, collection, root, pace, excluded, rules, shown, stop) for collection, root in roots.items()]
    threads = [threading.Thread(target=watch.run, name=f"watch-{watch.collection}") for watch in watches]

    def start() -> None:
        for thread in threads:
            thread.start()

    try:
        yield Watched(start, stop.set)
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _Watch:
    def __init__(
        self,
        sync: FolderSync,
        collection: str,
        root: str,
        pace: Pace,
        excluded: list[Path],
        rules: IgnoreRules,
        shown: Shown,
        stop: threading.Event,
    ) -> None:
        self.collection = collection
        self._sync, self._root, self._pace, self._shown, self._stop = sync, root, pace, shown, stop
        self._excluded, self._rules = excluded, rules
        self._quiet_files = QuietFiles(pace.quiet_s)
        self._waiting: str | None = None  # the next folder to compare
        self._not_before = self._compared_at = float("-inf")  # on the clock of time.monotonic
        self._pause_s = FIRST_PAUSE_S
        self._logged_error = ""  # the last error, which is logged once
        self._withheld = 0  # of the last full comparison; each number is logged once
        self._failed = -1  # of the last full comparison; -1: the first report is always logged

    def run(self) -> None:
        """Compares changed folders, and everything at intervals, until `stop` is set. Logs an error and tries again."""
        settle_ms = round(self._pace.settle_s * 1_000)
        for within in touched(self._root, stop=self._stop, settle_ms=settle_ms, excluded=self._excluded):
            self._note(within)
            if self._waiting is not None and time.monotonic() >= self._not_before:
                self._compare()

    def _note(self, within: str | None) -> None:
        if time.monotonic() - self._compared_at >= self._pace.rescan_s:
            within = EVERYTHING
        if within is not None:
            both = os.path.commonpath([within, within if self._waiting is None else self._waiting])
            self._waiting = f"{both}/" if both else EVERYTHING
        if within == EVERYTHING and self._logged_error:
            self._not_before = float("-inf")  # the folder may be mounted again

    def _compare(self) -> None:
        within, self._waiting = self._waiting or EVERYTHING, None
        began = time.monotonic()
        if within == EVERYTHING:
            self._compared_at = began
        try:
            report = self._report(within)
        except MiradouroError as exc:
            self._later(within, exc)
        except Exception as exc:  # noqa: BLE001 # otherwise the watch would end unnoticed
            _log.exception("a folder could not be compared", collection=self.collection, folder=self._root)
            self._later(within, exc)
        else:
            self._log_report(within, report)
            if report.withheld and within != EVERYTHING:
                self._waiting = EVERYTHING  # half of a subfolder may be a small share of the whole folder
            self._pause_s, self._logged_error = FIRST_PAUSE_S, ""
            rest_s = min(LONGEST_REST_S, REST * (time.monotonic() - began))
            if report.unsettled is not None and self._waiting is None:
                self._waiting, rest_s = report.unsettled, max(rest_s, self._pace.quiet_s)
            self._not_before = time.monotonic() + rest_s

    def _report(self, within: str) -> FolderReport:
        report = FolderReport()
        with self._shown(self.collection) as show:
            call = Call(cancelled=self._stop)
            messages = self._sync.follow(
                self._root,
                self.collection,
                call,
                within=within,
                rules=self._rules,
                quiet_files=self._quiet_files,
                waits=True,
            )
            for message in messages:
                if isinstance(message, FolderProgress):
                    show(message)
                elif isinstance(message, FolderReport):
                    report = message
        return report

    def _later(self, within: str, error: Exception) -> None:
        """Schedules a full comparison: the cause may be limited to the subfolder, or the disk may be unmounted."""
        self._waiting = EVERYTHING
        if within != EVERYTHING:
            return
        self._not_before = time.monotonic() + self._pause_s
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)
        if not self._stop.is_set() and str(error) != self._logged_error:
            self._logged_error = str(error)
            _log.warning("a folder can't be compared now, it is tried again", collection=self.collection, error=str(error))

    def _log_report(self, within: str, report: FolderReport) -> None:
        if within == EVERYTHING:
            if report.withheld not in {0, self._withheld}:
                _log.warning("deletions withheld", collection=self.collection, reason=report.withheld_reason)
            self._withheld = report.withheld
        for fault in report.sidecars:
            _log.debug("sidecar not read in full", collection=self.collection, sidecar=fault.path, reason=fault.reason)
        failed_before = self._failed if within == EVERYTHING else 0
        has_changes = report.indexed or report.moved or report.deleted or report.failed_total != failed_before
        if within == EVERYTHING:
            self._failed = report.failed_total
        if (has_changes or self._logged_error) and not self._stop.is_set():
            _log.info(
                "a folder was compared",
                collection=self.collection,
                folder=os.path.join(self._root, within),
                indexed=report.indexed,
                moved=report.moved,
                unchanged=report.unchanged,
                deleted=report.deleted,
                failed=report.failed_total,
                sidecars=report.sidecars_total,
            )
