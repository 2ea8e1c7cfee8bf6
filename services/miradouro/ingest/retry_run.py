"""Retries failed photos: those of a folder by their files, others by their stored events."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.photo_store import file_uri
from miradouro.core.document import Failure
from miradouro.core.errors import BadEvent, InvalidArgument
from miradouro.core.ports import DeadLetters, NothingYet, PhotoIndex, PhotoReader, SourceItem
from miradouro.ingest.event_wire import item_from_failure
from miradouro.ingest.folder_run import path_of_item
from miradouro.ingest.outcome import Outcome, Status
from miradouro.ingest.run import Run
from miradouro.ingest.runner import Runner

_OF_THE_EVENT = {*BadEvent.REASONS, InvalidArgument.status.lower()}


class RetryStatus(StrEnum):
    """The result of a retried photo."""

    STORED = "stored"
    SETTLED = "settled"
    FAILED = "failed"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Retried:
    """A retried photo. `reason` is a short code for programs; `reason` and `message` are empty on success."""

    collection: str
    photo_id: str
    status: RetryStatus
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Retry:
    """Retries failures of one collection. `root` is its folder, "" for none.

    `folder_run` and `event_run` build the runs over a folder's files and over events.
    """

    collection: str
    root: str
    index: PhotoIndex
    dead_letters: DeadLetters
    runner: Runner
    reader: PhotoReader
    folder_run: Callable[[], Run]
    event_run: Callable[[], Run]

    def run(self, failures: Sequence[Failure]) -> Iterator[Retried]:
        """One result per failure, in no particular order. Raises errors that stop every photo (see `Runner.run`)."""
        events = [failure for failure in failures if failure.event]
        files = [failure.photo_id for failure in failures if not failure.event and self._is_of_folder(failure)]
        known = {failure.photo_id for failure in events} | set(files)
        for failure in failures:
            if failure.photo_id not in known:
                yield self._impossible(failure.photo_id, _why_not(failure))
        if files and not os.path.isdir(self.root):
            yield from (
                self._impossible(photo_id, f"the folder {self.root} is missing; mount it, then retry") for photo_id in files
            )
        elif files:
            source = FolderSource(self.root, collection=self.collection, index=self.index, file_uri=file_uri, reader=self.reader)
            yield from self._tried(source.again(files), self.folder_run())
        if events:
            yield from self._tried(map(item_from_failure, events), self.event_run())

    def _tried(self, items: Iterable[SourceItem | NothingYet], run: Run) -> Iterator[Retried]:
        for outcome in self.runner.run(items, run):
            retried = self._retried(outcome)
            if retried.status is RetryStatus.SETTLED:
                self.dead_letters.forget(self.collection, [retried.photo_id])
            yield retried

    def _retried(self, outcome: Outcome) -> Retried:
        photo_id = path_of_item(outcome.item)
        if outcome.status is Status.FAILED:
            return Retried(self.collection, photo_id, RetryStatus.FAILED, outcome.reason, outcome.message)
        stored = outcome.status is Status.STORED
        return Retried(self.collection, photo_id, RetryStatus.STORED if stored else RetryStatus.SETTLED)

    def _impossible(self, photo_id: str, message: str) -> Retried:
        return Retried(self.collection, photo_id, RetryStatus.IMPOSSIBLE, "impossible", message)

    def _is_of_folder(self, failure: Failure) -> bool:
        below = file_uri(self.root).rstrip("/") + "/"
        if not self.root or not failure.uri.startswith(below):
            return False
        path = os.fsdecode(unquote_to_bytes(failure.uri.removeprefix(below)))
        # The URI may come from an event, and climb out of the folder.
        is_below = os.path.normpath(path) == path and path.partition("/")[0] != ".."
        return is_below and photo_id_of(path) == failure.photo_id


def _why_not(failure: Failure) -> str:
    if failure.record is not None:
        return "it is a dead letter of Kafka; `miradouro events retry` sends those again"
    if failure.uri and failure.reason in _OF_THE_EVENT:
        return "the event itself was refused; send it again, corrected"
    if failure.uri:
        return "the event was not kept with its failure; remove the cause that the failure names, then send the event again"
    return "the photo came inside its event and was not kept; send the event again"
