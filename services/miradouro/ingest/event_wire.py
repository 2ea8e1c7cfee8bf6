"""Photo events as protobuf messages: those of calls, and those that are kept with a failure for a retry."""

from datetime import UTC, datetime, timedelta

from miradouro.core.document import Failure, GeoPoint, TakenAt
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import DEFAULT_COLLECTION, MAX_VERSION, EventKind, PhotoEvent, check_event
from miradouro.core.ports import Refused, SourceItem
from miradouro.v1 import photo_event_pb2

_KINDS = {
    photo_event_pb2.PHOTO_EVENT_KIND_UPLOADED: EventKind.UPLOADED,
    photo_event_pb2.PHOTO_EVENT_KIND_UPDATED: EventKind.UPDATED,
    photo_event_pb2.PHOTO_EVENT_KIND_DELETED: EventKind.DELETED,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def item_of(message: photo_event_pb2.PhotoEvent) -> SourceItem:
    """The checked event, or a refusal if it breaks a limit; the other events of the batch are not affected."""
    try:
        return check_event(_event_of(message))
    except InvalidArgument as exc:
        version = min(max(message.version, 1), MAX_VERSION)  # record an illegal version as the nearest legal one
        return Refused(message.collection or DEFAULT_COLLECTION, message.photo_id, version, message.uri, exc)


def kept_with_failure(item: SourceItem) -> bytes:
    """The event, serialised. Empty for an event that carries its photo, which is not kept, and so can't be retried.

    Empty for the photos of a folder too: a retry reads their files.
    """
    if not isinstance(item, PhotoEvent) or item.origin is not None or not item.uri:
        return b""
    return _message_of(item).SerializeToString(deterministic=True)


def event_from_failure(kept: bytes) -> PhotoEvent:
    """The event that `kept_with_failure` serialised, its limits not checked. Raises InvalidArgument."""
    return _event_of(photo_event_pb2.PhotoEvent.FromString(kept))


def item_from_failure(failure: Failure) -> SourceItem:
    """The checked event that was kept with a failure, or its refusal: the stored bytes may come from a foreign snapshot."""
    try:
        return check_event(event_from_failure(failure.event))
    except InvalidArgument as exc:
        return Refused(failure.collection, failure.photo_id, failure.version, failure.uri, exc)


def _event_of(message: photo_event_pb2.PhotoEvent) -> PhotoEvent:
    kind = _KINDS.get(message.kind)
    if kind is None:
        allowed = ", ".join(photo_event_pb2.PhotoEventKind.Name(known) for known in _KINDS)
        raise InvalidArgument("kind", f"{message.kind} is not a kind of event; allowed: {allowed}")
    return message_to_event(message, kind=kind)


def message_to_event(message: photo_event_pb2.PhotoEvent, *, kind: EventKind) -> PhotoEvent:
    """The event, its limits not checked; `kind` comes from the message or from its envelope. Raises InvalidArgument."""
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
        place=GeoPoint(message.place.latitude, message.place.longitude) if message.HasField("place") else None,
        taken_at=_taken_at(message.taken_at) if message.HasField("taken_at") else None,
    )


def _taken_at(message: photo_event_pb2.TakenAt) -> TakenAt:
    if not message.HasField("instant"):
        raise InvalidArgument("taken_at.instant", "it is not set; set it, or leave taken_at out")
    try:
        instant = _EPOCH + timedelta(seconds=message.instant.seconds, microseconds=message.instant.nanos // 1_000)
    except OverflowError as exc:
        raise InvalidArgument("taken_at.instant", f"{message.instant.seconds} s is not within the years 1 to 9999") from exc
    return TakenAt(instant, message.utc_offset_minutes if message.HasField("utc_offset_minutes") else None)


def _message_of(event: PhotoEvent) -> photo_event_pb2.PhotoEvent:
    message = photo_event_pb2.PhotoEvent(
        event_id=event.event_id,
        kind={kind: number for number, kind in _KINDS.items()}[event.kind],
        collection=event.collection,
        photo_id=event.photo_id,
        version=event.version,
        uri=event.uri,
        media_type=event.media_type,
        sha256=event.sha256,
        title=event.title,
        caption=event.caption,
        tags=event.tags,
        owner=event.owner,
        attributes=event.attributes,
    )
    if event.place is not None:
        message.place.latitude, message.place.longitude = event.place.latitude, event.place.longitude
    if event.taken_at is not None:
        since = event.taken_at.instant - _EPOCH
        message.taken_at.instant.seconds = since // timedelta(seconds=1)
        message.taken_at.instant.nanos = since % timedelta(seconds=1) // timedelta(microseconds=1) * 1_000
        if event.taken_at.utc_offset_minutes is not None:
            message.taken_at.utc_offset_minutes = event.taken_at.utc_offset_minutes
    return message
