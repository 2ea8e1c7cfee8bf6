"""The trace that an event belongs to."""

from miradouro.core.event import PhotoEvent
from miradouro.core.ports import Refused, SourceItem
from miradouro.runtime.tracing import Trace, read_trace, trace_of_name


def trace_of(item: SourceItem) -> Trace:
    """What the event told; else one made of its names, so that an event which comes again keeps it."""
    if isinstance(item, PhotoEvent):
        return read_trace(item.traceparent) or trace_of_name(item.collection, item.photo_id, item.version, item.event_id)
    if isinstance(item, Refused) and item.record is not None:
        record = item.record
        told = next((value for name, value in record.headers if name.lower() == "ce_traceparent"), None)
        header = (told or b"").decode("ascii", "replace")
        return read_trace(header) or trace_of_name(record.topic, record.partition, record.offset)
    return trace_of_name(*(getattr(item, name, "") for name in ("collection", "photo_id", "path")))


def names_of(item: SourceItem) -> dict[str, object]:
    """What a log line tells of an item, beside its trace: names, and nothing of a photo's content."""
    wanted = ("event_id", "collection", "photo_id", "version")
    told = {name: getattr(item, name) for name in wanted if getattr(item, name, "")}
    record = item.record if isinstance(item, PhotoEvent | Refused) else None
    return told if record is None else {**told, "partition": record.partition, "offset": record.offset}
