"""The results of the items of a run."""

from dataclasses import dataclass
from enum import StrEnum

from miradouro.core.errors import BadEvent, BadPhoto, Internal, MiradouroError
from miradouro.core.ports import SourceItem

PROCESSING_FAILED = "processing_failed"  # the reason of a photo at which a processor, not the photo, is at fault


class Status(StrEnum):
    """The result of an item of a source."""

    STORED = "stored"
    STALE = "stale"
    FAILED = "failed"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"
    UNSETTLED = "unsettled"


@dataclass(frozen=True)
class Outcome:
    """The result of an item. A failure has a `reason` for programs; it is a dead letter unless it is `retriable`.

    `moved` photos were stored under a new id in place of their old one.
    """

    item: SourceItem
    status: Status
    reason: str = ""
    message: str = ""
    retriable: bool = False
    moved: bool = False


def code_of(error: MiradouroError) -> str:
    """The short reason of a failure, for programs."""
    if isinstance(error, BadPhoto | BadEvent):
        return error.reason
    return PROCESSING_FAILED if isinstance(error, Internal) else error.status.lower()
