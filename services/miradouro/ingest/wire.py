"""The ingest service's answers: outcomes, progress, reports and failures."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from miradouro.core.document import Failure
from miradouro.core.redaction import public_uri
from miradouro.core.sidecars.beside import SidecarFault
from miradouro.ingest.folder_plan import FolderPlan, PlannedAction, PlannedFile
from miradouro.ingest.folder_run import FailedFile, FolderProgress, FolderReport, MoreFailed
from miradouro.ingest.outcome import Outcome, Status
from miradouro.ingest.retry_run import Retried, RetryStatus
from miradouro.v1 import ingest_service_pb2

_STATUSES = {
    Status.STORED: ingest_service_pb2.EVENT_STATUS_STORED,
    Status.STALE: ingest_service_pb2.EVENT_STATUS_STALE,
    Status.FAILED: ingest_service_pb2.EVENT_STATUS_FAILED,
}
_RETRY_STATUSES = {
    RetryStatus.STORED: ingest_service_pb2.RETRY_STATUS_STORED,
    RetryStatus.SETTLED: ingest_service_pb2.RETRY_STATUS_SETTLED,
    RetryStatus.FAILED: ingest_service_pb2.RETRY_STATUS_FAILED,
    RetryStatus.IMPOSSIBLE: ingest_service_pb2.RETRY_STATUS_IMPOSSIBLE,
}


def result_of(outcome: Outcome, event_id: str) -> ingest_service_pb2.EventResult:
    """The result of an event, for its sender."""
    return ingest_service_pb2.EventResult(
        event_id=event_id,
        status=_STATUSES[outcome.status],
        reason=outcome.reason,
        message=outcome.message,
        retriable=outcome.retriable,
    )


_PLANNED_ACTIONS = {
    PlannedAction.NEW: ingest_service_pb2.PLANNED_ACTION_NEW,
    PlannedAction.CHANGED: ingest_service_pb2.PLANNED_ACTION_CHANGED,
    PlannedAction.UNCHANGED: ingest_service_pb2.PLANNED_ACTION_UNCHANGED,
    PlannedAction.DELETED: ingest_service_pb2.PLANNED_ACTION_DELETED,
    PlannedAction.IGNORED: ingest_service_pb2.PLANNED_ACTION_IGNORED,
    PlannedAction.FAILED: ingest_service_pb2.PLANNED_ACTION_FAILED,
}


def folder_response(
    message: FolderProgress | MoreFailed | FolderPlan | FolderReport,
) -> ingest_service_pb2.IndexFolderResponse:
    """One message of the stream; the report is the last one."""
    match message:
        case FolderProgress():
            progress = ingest_service_pb2.FolderProgress(done=message.done, total=message.total, path=message.path)
            return ingest_service_pb2.IndexFolderResponse(progress=progress)
        case MoreFailed():
            more = ingest_service_pb2.FolderFailures(failed=_failed(message.failed), sidecars=_sidecars(message.sidecars))
            return ingest_service_pb2.IndexFolderResponse(more_failed=more)
        case FolderPlan():
            plan = ingest_service_pb2.FolderPlan(files=map(_planned, message.files))
            return ingest_service_pb2.IndexFolderResponse(plan=plan)
        case FolderReport():
            report = ingest_service_pb2.FolderReport(
                indexed=message.indexed,
                unchanged=message.unchanged,
                deleted=message.deleted,
                moved=message.moved,
                withheld=message.withheld,
                withheld_reason=message.withheld_reason,
                ignored=message.ignored,
                ignored_by=message.ignored_by,
                ignored_folders=message.ignored_folders,
                failed=_failed(message.failed),
                failed_total=message.failed_total,
                sidecars=_sidecars(message.sidecars),
                sidecars_total=message.sidecars_total,
            )
            return ingest_service_pb2.IndexFolderResponse(report=report)


def _planned(file: PlannedFile) -> ingest_service_pb2.PlannedFile:
    return ingest_service_pb2.PlannedFile(
        path=file.path, action=_PLANNED_ACTIONS[file.action], code=file.code, reason=file.reason
    )


def retry_response(retried: Retried) -> ingest_service_pb2.RetryFailuresResponse:
    """One message of the stream."""
    return ingest_service_pb2.RetryFailuresResponse(
        collection=retried.collection,
        photo_id=retried.photo_id,
        status=_RETRY_STATUSES[retried.status],
        reason=retried.reason,
        message=retried.message,
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
        uri=public_uri(failure.uri),
        failed_at=failed_at,
    )


def _failed(failed: Sequence[FailedFile]) -> list[ingest_service_pb2.FolderFailure]:
    return [ingest_service_pb2.FolderFailure(path=one.path, code=one.code, reason=one.reason) for one in failed]


def _sidecars(faults: Sequence[SidecarFault]) -> list[ingest_service_pb2.FolderSidecar]:
    return [ingest_service_pb2.FolderSidecar(path=one.path, reason=one.reason) for one in faults]
