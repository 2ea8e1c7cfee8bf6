import threading

import grpc
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import Refused
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import item_of, record_of
from miradouro.ingest.event_trace import names_of, trace_of
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.runtime.tracing import Trace, current_trace, new_trace, read_trace, trace_of_name, traced

from tests.echo_service import Echo, ask, service, stream

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=count, max_size=count).filter(lambda text: text.strip("0") != "")


@given(digits(32), digits(16), st.text("0123456789abcdef", min_size=2, max_size=2))
def test_a_written_trace_is_read_back(trace_id, span_id, flags):
    trace = Trace(trace_id, span_id, flags)
    assert read_trace(trace.header) == trace


@given(st.text())
def test_an_invalid_trace_is_ignored(text):
    trace = read_trace(text)
    assert trace is None or trace.header[3:] in text


@pytest.mark.parametrize(
    ("header", "is_one"),
    [
        (f"00-{ID}-{SPAN}-01", True),
        (f" 00-{ID}-{SPAN}-00 ", True),
        (f"cc-{ID}-{SPAN}-01-what-the-future-brings", True),
        (f"00-{ID}-{SPAN}-01-more", False),
        (f"ff-{ID}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{ID}-{'0' * 16}-01", False),
        (f"00-{ID.upper()}-{SPAN}-01", False),
        (f"00-{ID[1:]}-{SPAN}-01", False),
        (f"{ID}-{SPAN}", False),
        (None, False),
    ],
)
def test_headers_are_read_by_the_standard(header, is_one):
    assert (read_trace(header) is not None) is is_one


def event(**fields) -> PhotoEvent:
    return PhotoEvent("e", EventKind.UPLOADED, "c", "a/b.jpg", 3, uri="file:///b.jpg", **fields)


def test_an_event_keeps_its_trace_through_kafka():
    sent = new_trace()
    key, value, headers = record_of(event(traceparent=sent.header))
    item = item_of(SourceRecord("t", 1, 2, key, value, tuple(headers)))
    assert trace_of(item) == sent
    assert names_of(item) == {
        "event_id": "e",
        "collection": "c",
        "photo_id": "a/b.jpg",
        "version": 3,
        "partition": 1,
        "offset": 2,
    }


def test_an_event_with_a_wrong_trace_is_accepted():
    key, value, headers = record_of(event(traceparent="nonsense"))
    item = item_of(SourceRecord("t", 1, 2, key, value, tuple(headers)))
    assert isinstance(item, PhotoEvent)
    assert item.traceparent == ""


def test_an_untraced_event_gets_a_stable_trace():
    assert trace_of(event()) == trace_of(event())
    assert trace_of(event()) != trace_of(PhotoEvent("f", EventKind.UPLOADED, "c", "a/b.jpg", 3))
    assert trace_of_name("a", "b") != trace_of_name("ab")
    assert read_trace(trace_of(event()).header) == trace_of(event())


def test_an_invalid_event_has_its_records_trace():
    sent = new_trace()
    record = SourceRecord("t", 1, 2, b"key", b"?", (("ce_traceparent", sent.header.encode()),))
    assert trace_of(Refused("", "", 1, "", InvalidArgument("value", "no"), record)) == sent
    assert trace_of(item_of(SourceRecord("t", 1, 2, b"", b"?"))) == trace_of_name("t", 1, 2)


class Telling(Echo):
    """Notes the trace that each handler sees, and what a log line of it would bear."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Trace | None, object]] = []

    def note(self) -> None:
        self.seen.append((current_trace(), structlog.contextvars.get_contextvars().get("trace_id")))

    def Shout(self, request, call):  # noqa: N802 # named as the RPC
        self.note()
        return super().Shout(request, call)

    async def Whisper(self, request, call):  # noqa: N802 # named as the RPC
        self.note()
        return await super().Whisper(request, call)

    def Count(self, request, call):  # noqa: N802 # named as the RPC
        for response in super().Count(request, call):
            self.note()
            yield response


def test_every_kind_of_call_joins_its_callers_trace():
    handlers, trace = Telling(), new_trace()
    with running([service(handlers)], security=OPEN_TO_ALL) as server, open_channel(server.target) as channel, traced(trace):
        ask(channel, "Shout", "a")
        ask(channel, "Whisper", "a")
        list(stream(channel, "1"))
    assert [(seen.trace_id, sent) for seen, sent in handlers.seen if seen] == [(trace.trace_id, trace.trace_id)] * 3
    assert len({seen.span_id for seen, _ in handlers.seen if seen} | {trace.span_id}) == 4, "each call is a step of its own"
    assert current_trace() is None


def test_a_call_without_a_trace_begins_one():
    handlers = Telling()
    with running([service(handlers)], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as channel:
        for metadata in ((), (("traceparent", "nonsense"),)):
            ask(channel, "Shout", "a", metadata=metadata)
    [(first, _), (second, sent)] = handlers.seen
    assert first is not None
    assert second is not None
    assert first.trace_id != second.trace_id
    assert sent == second.trace_id


def test_threads_do_not_see_each_others_traces():
    seen = []
    with traced(new_trace()):
        other = threading.Thread(target=lambda: seen.append(current_trace()))
        other.start()
        other.join()
    assert seen == [None]
