"""The plan of a run over a folder: the same comparison without the runner, so nothing changes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from miradouro.adapters.folder.source import FolderSource
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import Ignored, NothingYet, Refused, SourceItem
from miradouro.ingest.folder_run import FolderReport, path_of_item
from miradouro.ingest.outcome import code_of

MAX_PLANNED = 1_000  # files in one message


class PlannedAction(StrEnum):
    """The planned action for a file or a stored photo."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    IGNORED = "ignored"
    FAILED = "failed"


_ACTIONS = {
    EventKind.UPLOADED: PlannedAction.NEW,
    EventKind.UPDATED: PlannedAction.CHANGED,
    EventKind.DELETED: PlannedAction.DELETED,
}


@dataclass(frozen=True)
class PlannedFile:
    """A file with its planned action. `path` is below the folder; that of an ignored folder ends with /.

    `code` is a short code for programs and `reason` the same as a clause. Both are empty unless the file is ignored or fails.
    """

    path: str
    action: PlannedAction
    code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FolderPlan:
    """At most MAX_PLANNED files in the order of their paths; photos to delete come last."""

    files: tuple[PlannedFile, ...]


def plan_folder(source: FolderSource) -> Iterator[FolderPlan | FolderReport]:
    """Every file of a folder, every photo to delete, and finally the report of such a run.

    Files are compared but not decoded: a damaged photo is listed as new, a moved photo as new and as deleted. Raises the errors
    of `FolderSource.events`.
    """
    counts: Counter[PlannedAction] = Counter()
    codes: Counter[str] = Counter()
    folders = 0
    items = (item for item in source.events() if not isinstance(item, NothingYet))
    while part := list(islice(items, MAX_PLANNED)):
        files = tuple(_planned(item) for item in part)
        for item, file in zip(part, files, strict=True):
            if isinstance(item, Ignored) and item.is_folder:
                folders += 1
                continue
            counts[file.action] += 1
            codes[file.code] += file.action is PlannedAction.IGNORED
        yield FolderPlan(files)
    yield FolderReport(
        indexed=counts[PlannedAction.NEW] + counts[PlannedAction.CHANGED],
        unchanged=counts[PlannedAction.UNCHANGED],
        deleted=counts[PlannedAction.DELETED],
        withheld=source.withheld,
        withheld_reason=source.withheld_reason,
        ignored=counts[PlannedAction.IGNORED],
        ignored_by={code: number for code, number in codes.items() if number},
        ignored_folders=folders,
        failed_total=counts[PlannedAction.FAILED],
    )


def _planned(item: SourceItem) -> PlannedFile:
    path = path_of_item(item)
    match item:
        case Ignored():
            return PlannedFile(path, PlannedAction.IGNORED, item.reason.code, item.reason.text)
        case Refused():
            return PlannedFile(path, PlannedAction.FAILED, code_of(item.error), item.error.message)
        case PhotoEvent():
            return PlannedFile(path, _ACTIONS[item.kind])
        case _:
            return PlannedFile(path, PlannedAction.UNCHANGED)
