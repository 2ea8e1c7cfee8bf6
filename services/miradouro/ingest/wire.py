"""The ingest service's messages: events read, outcomes, progress, reports and failures written."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from miradouro.core.document import Failure, Place, TakenAt
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import DEFAULT_COLLECTION, MAX_VERSION, EventKind, PhotoEvent, check_event
from miradouro.core.ports import Refused, SourceItem
from miradouro.ingest.folder_run import FolderProgress, FolderReport
from miradouro.ingest.runner import Outcome, Status
from miradouro.v1 import ingest_service_pb2, photo_event_pb2

_KINDS = {
    photo_event_pb2.PHOTO_EVENT_KIND_UPLOADED: EventKind.UPLOADED,
    photo_event_pb2.PHOTO_EVENT_KIND_UPDATED: EventKind.UPDATED,
    photo_event_pb2.PHOTO_EVENT_KIND_DELETED: EventKind.DELETED,
}
_STATUSES = {
    Status.STORED: ingest_service_pb2.EVENT_STATUS_STORED,
    Status.STALE: ingest_service_pb2.EVENT_STATUS_STALE,
    Status.FAILED: ingest_service_pb2.EVENT_STATUS_FAILED,
}


def item_of(message: photo_event_pb2.PhotoEvent) -> SourceItem:
    """The checked event, or the refusal of one that breaks a limit, which does not touch the other events of its batch."""
    try:
        return check_event(_event_of(message))
    except InvalidArgument as exc:
        version = min(max(message.version, 1), MAX_VERSION)  # what is no version is recorded as the nearest one
        return Refused(message.collection or DEFAULT_COLLECTION, message.photo_id, version, message.uri, exc)


def result_of(outcome: Outcome, event_id: str) -> ingest_service_pb2.EventResult:
    """What the sender of an event is told."""
    return ingest_service_pb2.EventResult(
        event_id=event_id,
        status=_STATUSES[outcome.status],
        reason=outcome.reason,
        message=outcome.message,
        retriable=outcome.retriable,
    )


def progress_of(progress: FolderProgress) -> ingest_service_pb2.IndexFolderResponse:
    """A message of the stream that is not the last."""
    told = ingest_service_pb2.FolderProgress(done=progress.done, total=progress.total, path=progress.path)
    return ingest_service_pb2.IndexFolderResponse(progress=told)


def report_of(report: FolderReport) -> ingest_service_pb2.IndexFolderResponse:
    """The last message of the stream."""
    return ingest_service_pb2.IndexFolderResponse(
        report=ingest_service_pb2.FolderReport(
            indexed=report.indexed,
            unchanged=report.unchanged,
            deleted=report.deleted,
            ignored=report.ignored,
            failed=[ingest_service_pb2.FolderFailure(path=path, reason=reason) for path, reason in report.failed],
        )
    )


def failure_of(failure: Failure) -> ingest_service_pb2.Failure:
    """A failure as it is listed."""
    failed_at = Timestamp()
    failed_at.FromDatetime(failure.failed_at)
    return ingest_service_pb2.Failure(
        collection=failure.collection,
        photo_id=failure.photo_id,
        version=failure.version,
        reason=failure.reason,
        message=failure.message,
        uri=failure.uri,
        failed_at=failed_at,
    )


def _event_of(message: photo_event_pb2.PhotoEvent) -> PhotoEvent:
    kind = _KINDS.get(message.kind)
    if kind is None:
        allowed = ", ".join(photo_event_pb2.PhotoEventKind.Name(known) for known in _KINDS)
        raise InvalidArgument("kind", f"{message.kind} is not a kind of event; allowed: {allowed}")
    return PhotoEvent(
        event_id=message.event_id,
        kind=kind,
        collection=message.collection or DEFAULT_COLLECTION,
        photo_id=message.photo_id,
        version=message.version,
        uri=message.uri,
        data=message.data if message.HasField("data") else None,
        media_type=message.media_type,
        sha256=message.sha256,
        title=message.title,
        caption=message.caption,
        tags=tuple(message.tags),
        owner=message.owner,
        attributes=dict(message.attributes),
        place=Place(message.place.latitude, message.place.longitude) if message.HasField("place") else None,
        taken_at=_taken_at(message.taken_at) if message.HasField("taken_at") else None,
    )


def _taken_at(message: photo_event_pb2.TakenAt) -> TakenAt:
    if not message.HasField("instant"):
        raise InvalidArgument("taken_at.instant", "it is not set; set it, or leave taken_at out")
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            seconds=message.instant.seconds, microseconds=message.instant.nanos // 1_000
        )
    except OverflowError as exc:
        raise InvalidArgument("taken_at.instant", f"{message.instant.seconds} s is not within the years 1 to 9999") from exc
    return TakenAt(instant, message.utc_offset_minutes if message.HasField("utc_offset_minutes") else None)
