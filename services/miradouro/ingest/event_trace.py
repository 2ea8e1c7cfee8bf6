"""The trace that an event belongs to."""

from miradouro.core.event import PhotoEvent
from miradouro.core.ports import Refused, SourceItem
from miradouro.runtime.tracing import Trace, read_trace, trace_of_name


def trace_of(item: SourceItem) -> Trace:
    """The trace in the event; without one, a trace derived from its names, the same after each redelivery."""
    if isinstance(item, PhotoEvent):
        return read_trace(item.traceparent) or trace_of_name(item.collection, item.photo_id, item.version, item.event_id)
    if isinstance(item, Refused) and item.record is not None:
        record = item.record
        value = next((value for name, value in record.headers if name.lower() == "ce_traceparent"), None)
        header = (value or b"").decode("ascii", "replace")
        return read_trace(header) or trace_of_name(record.topic, record.partition, record.offset)
    return trace_of_name(*(getattr(item, name, "") for name in ("collection", "photo_id", "path")))


def names_of(item: SourceItem) -> dict[str, object]:
    """The names of an item for log lines; no content of a photo."""
    wanted = ("event_id", "collection", "photo_id", "version")
    names = {name: getattr(item, name) for name in wanted if getattr(item, name, "")}
    record = item.record if isinstance(item, PhotoEvent | Refused) else None
    return names if record is None else {**names, "partition": record.partition, "offset": record.offset}
