import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from miradouro.v1 import photo_event_pb2 as _photo_event_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_STATUS_UNSPECIFIED: _ClassVar[EventStatus]
    EVENT_STATUS_STORED: _ClassVar[EventStatus]
    EVENT_STATUS_STALE: _ClassVar[EventStatus]
    EVENT_STATUS_FAILED: _ClassVar[EventStatus]

class PlannedAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLANNED_ACTION_UNSPECIFIED: _ClassVar[PlannedAction]
    PLANNED_ACTION_NEW: _ClassVar[PlannedAction]
    PLANNED_ACTION_CHANGED: _ClassVar[PlannedAction]
    PLANNED_ACTION_UNCHANGED: _ClassVar[PlannedAction]
    PLANNED_ACTION_DELETED: _ClassVar[PlannedAction]
    PLANNED_ACTION_IGNORED: _ClassVar[PlannedAction]
    PLANNED_ACTION_FAILED: _ClassVar[PlannedAction]

class RetryStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_STATUS_UNSPECIFIED: _ClassVar[RetryStatus]
    RETRY_STATUS_STORED: _ClassVar[RetryStatus]
    RETRY_STATUS_SETTLED: _ClassVar[RetryStatus]
    RETRY_STATUS_FAILED: _ClassVar[RetryStatus]
    RETRY_STATUS_IMPOSSIBLE: _ClassVar[RetryStatus]
EVENT_STATUS_UNSPECIFIED: EventStatus
EVENT_STATUS_STORED: EventStatus
EVENT_STATUS_STALE: EventStatus
EVENT_STATUS_FAILED: EventStatus
PLANNED_ACTION_UNSPECIFIED: PlannedAction
PLANNED_ACTION_NEW: PlannedAction
PLANNED_ACTION_CHANGED: PlannedAction
PLANNED_ACTION_UNCHANGED: PlannedAction
PLANNED_ACTION_DELETED: PlannedAction
PLANNED_ACTION_IGNORED: PlannedAction
PLANNED_ACTION_FAILED: PlannedAction
RETRY_STATUS_UNSPECIFIED: RetryStatus
RETRY_STATUS_STORED: RetryStatus
RETRY_STATUS_SETTLED: RetryStatus
RETRY_STATUS_FAILED: RetryStatus
RETRY_STATUS_IMPOSSIBLE: RetryStatus

class PutEventsRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_photo_event_pb2.PhotoEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[_photo_event_pb2.PhotoEvent, _Mapping]]] = ...) -> None: ...

class PutEventsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EventResult]
    def __init__(self, results: _Optional[_Iterable[_Union[EventResult, _Mapping]]] = ...) -> None: ...

class EventResult(_message.Message):
    __slots__ = ("event_id", "status", "reason", "message", "retriable")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRIABLE_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    status: EventStatus
    reason: str
    message: str
    retriable: bool
    def __init__(self, event_id: _Optional[str] = ..., status: _Optional[_Union[EventStatus, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retriable: _Optional[bool] = ...) -> None: ...

class IndexFolderRequest(_message.Message):
    __slots__ = ("path", "collection", "prune", "ignore", "dry_run", "verify", "preset", "tagger")
    PATH_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    IGNORE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    TAGGER_FIELD_NUMBER: _ClassVar[int]
    path: str
    collection: str
    prune: bool
    ignore: _containers.RepeatedScalarFieldContainer[str]
    dry_run: bool
    verify: bool
    preset: str
    tagger: str
    def __init__(self, path: _Optional[str] = ..., collection: _Optional[str] = ..., prune: _Optional[bool] = ..., ignore: _Optional[_Iterable[str]] = ..., dry_run: _Optional[bool] = ..., verify: _Optional[bool] = ..., preset: _Optional[str] = ..., tagger: _Optional[str] = ...) -> None: ...

class IndexFolderResponse(_message.Message):
    __slots__ = ("progress", "report", "more_failed", "plan")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    MORE_FAILED_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    progress: FolderProgress
    report: FolderReport
    more_failed: FolderFailures
    plan: FolderPlan
    def __init__(self, progress: _Optional[_Union[FolderProgress, _Mapping]] = ..., report: _Optional[_Union[FolderReport, _Mapping]] = ..., more_failed: _Optional[_Union[FolderFailures, _Mapping]] = ..., plan: _Optional[_Union[FolderPlan, _Mapping]] = ...) -> None: ...

class FolderProgress(_message.Message):
    __slots__ = ("done", "total", "path")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    path: str
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., path: _Optional[str] = ...) -> None: ...

class FolderReport(_message.Message):
    __slots__ = ("indexed", "unchanged", "deleted", "ignored", "failed", "failed_total", "sidecars", "sidecars_total", "ignored_by", "ignored_folders", "moved", "withheld", "withheld_reason")
    class IgnoredByEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    IGNORED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    FAILED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SIDECARS_FIELD_NUMBER: _ClassVar[int]
    SIDECARS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    IGNORED_BY_FIELD_NUMBER: _ClassVar[int]
    IGNORED_FOLDERS_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_REASON_FIELD_NUMBER: _ClassVar[int]
    indexed: int
    unchanged: int
    deleted: int
    ignored: int
    failed: _containers.RepeatedCompositeFieldContainer[FolderFailure]
    failed_total: int
    sidecars: _containers.RepeatedCompositeFieldContainer[FolderSidecar]
    sidecars_total: int
    ignored_by: _containers.ScalarMap[str, int]
    ignored_folders: int
    moved: int
    withheld: int
    withheld_reason: str
    def __init__(self, indexed: _Optional[int] = ..., unchanged: _Optional[int] = ..., deleted: _Optional[int] = ..., ignored: _Optional[int] = ..., failed: _Optional[_Iterable[_Union[FolderFailure, _Mapping]]] = ..., failed_total: _Optional[int] = ..., sidecars: _Optional[_Iterable[_Union[FolderSidecar, _Mapping]]] = ..., sidecars_total: _Optional[int] = ..., ignored_by: _Optional[_Mapping[str, int]] = ..., ignored_folders: _Optional[int] = ..., moved: _Optional[int] = ..., withheld: _Optional[int] = ..., withheld_reason: _Optional[str] = ...) -> None: ...

class FolderPlan(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[PlannedFile]
    def __init__(self, files: _Optional[_Iterable[_Union[PlannedFile, _Mapping]]] = ...) -> None: ...

class PlannedFile(_message.Message):
    __slots__ = ("path", "action", "code", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    action: PlannedAction
    code: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., action: _Optional[_Union[PlannedAction, str]] = ..., code: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class FolderFailures(_message.Message):
    __slots__ = ("failed", "sidecars")
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SIDECARS_FIELD_NUMBER: _ClassVar[int]
    failed: _containers.RepeatedCompositeFieldContainer[FolderFailure]
    sidecars: _containers.RepeatedCompositeFieldContainer[FolderSidecar]
    def __init__(self, failed: _Optional[_Iterable[_Union[FolderFailure, _Mapping]]] = ..., sidecars: _Optional[_Iterable[_Union[FolderSidecar, _Mapping]]] = ...) -> None: ...

class FolderSidecar(_message.Message):
    __slots__ = ("path", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class FolderFailure(_message.Message):
    __slots__ = ("path", "reason", "code")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    path: str
    reason: str
    code: str
    def __init__(self, path: _Optional[str] = ..., reason: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ListFailuresRequest(_message.Message):
    __slots__ = ("collection", "page_size", "page_token")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collection: str
    page_size: int
    page_token: str
    def __init__(self, collection: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListFailuresResponse(_message.Message):
    __slots__ = ("failures", "next_page_token")
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    failures: _containers.RepeatedCompositeFieldContainer[Failure]
    next_page_token: str
    def __init__(self, failures: _Optional[_Iterable[_Union[Failure, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("collection", "photo_id", "version", "reason", "message", "uri", "failed_at")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    photo_id: str
    version: int
    reason: str
    message: str
    uri: str
    failed_at: _timestamp_pb2.Timestamp
    def __init__(self, collection: _Optional[str] = ..., photo_id: _Optional[str] = ..., version: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., uri: _Optional[str] = ..., failed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RetryFailuresRequest(_message.Message):
    __slots__ = ("collection", "photo_ids")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PHOTO_IDS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    photo_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[str] = ..., photo_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RetryFailuresResponse(_message.Message):
    __slots__ = ("collection", "photo_id", "status", "reason", "message")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    photo_id: str
    status: RetryStatus
    reason: str
    message: str
    def __init__(self, collection: _Optional[str] = ..., photo_id: _Optional[str] = ..., status: _Optional[_Union[RetryStatus, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class LearnKeywordsRequest(_message.Message):
    __slots__ = ("collection", "space", "hidden", "precision", "only")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    ONLY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    space: str
    hidden: int
    precision: float
    only: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[str] = ..., space: _Optional[str] = ..., hidden: _Optional[int] = ..., precision: _Optional[float] = ..., only: _Optional[_Iterable[str]] = ...) -> None: ...

class LearnKeywordsResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: KeywordProgress
    report: KeywordReport
    def __init__(self, progress: _Optional[_Union[KeywordProgress, _Mapping]] = ..., report: _Optional[_Union[KeywordReport, _Mapping]] = ...) -> None: ...

class KeywordProgress(_message.Message):
    __slots__ = ("done", "changed")
    DONE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    done: int
    changed: int
    def __init__(self, done: _Optional[int] = ..., changed: _Optional[int] = ...) -> None: ...

class KeywordReport(_message.Message):
    __slots__ = ("collection", "space", "provenance", "hidden", "wanted_precision", "photos", "keywords", "left_out", "top1", "without_vectors", "changed")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    WANTED_PRECISION_FIELD_NUMBER: _ClassVar[int]
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    TOP1_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_VECTORS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    collection: str
    space: str
    provenance: str
    hidden: int
    wanted_precision: float
    photos: int
    keywords: _containers.RepeatedCompositeFieldContainer[Keyword]
    left_out: _containers.RepeatedScalarFieldContainer[str]
    top1: float
    without_vectors: int
    changed: int
    def __init__(self, collection: _Optional[str] = ..., space: _Optional[str] = ..., provenance: _Optional[str] = ..., hidden: _Optional[int] = ..., wanted_precision: _Optional[float] = ..., photos: _Optional[int] = ..., keywords: _Optional[_Iterable[_Union[Keyword, _Mapping]]] = ..., left_out: _Optional[_Iterable[str]] = ..., top1: _Optional[float] = ..., without_vectors: _Optional[int] = ..., changed: _Optional[int] = ...) -> None: ...

class Keyword(_message.Message):
    __slots__ = ("label", "photos", "precision", "recall", "threshold")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    label: str
    photos: int
    precision: float
    recall: float
    threshold: float
    def __init__(self, label: _Optional[str] = ..., photos: _Optional[int] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ..., threshold: _Optional[float] = ...) -> None: ...

class ListKeywordsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListKeywordsResponse(_message.Message):
    __slots__ = ("collections",)
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[KeywordReport]
    def __init__(self, collections: _Optional[_Iterable[_Union[KeywordReport, _Mapping]]] = ...) -> None: ...

class TestKeywordsRequest(_message.Message):
    __slots__ = ("collection", "on")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    collection: str
    on: str
    def __init__(self, collection: _Optional[str] = ..., on: _Optional[str] = ...) -> None: ...

class TestKeywordsResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: KeywordReport
    def __init__(self, report: _Optional[_Union[KeywordReport, _Mapping]] = ...) -> None: ...

class RemoveKeywordsRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class RemoveKeywordsResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: KeywordProgress
    report: KeywordReport
    def __init__(self, progress: _Optional[_Union[KeywordProgress, _Mapping]] = ..., report: _Optional[_Union[KeywordReport, _Mapping]] = ...) -> None: ...
