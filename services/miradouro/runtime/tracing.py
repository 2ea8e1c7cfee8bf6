"""W3C Trace Context: one trace id for all work of an event or a call, in every process and log line.

It is passed on as `traceparent`: an attribute of CloudEvents (their distributed tracing extension), a key of gRPC metadata, an
HTTP header. Miradouro exports no spans.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import structlog

TRACEPARENT = "traceparent"
# Version 00 ends here; later ones may go on after another dash, and ff is none.
_HEADER = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = "01"


@dataclass(frozen=True)
class Trace:
    """A position in a trace: ids as 32 and 16 lower-case hexadecimal digits, and the flags as 2."""

    trace_id: str
    span_id: str
    flags: str = _SAMPLED

    @property
    def header(self) -> str:
        """As it is sent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self) -> "Trace":
        """The same trace with a new span id."""
        return replace(self, span_id=secrets.token_hex(8))


_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def read_trace(header: str | None) -> Trace | None:
    """The trace in a header; None without one. By the standard an invalid header is ignored."""
    found = _HEADER.fullmatch((header or "").strip())
    if found is None or (found[1] == "00" and found[5]):
        return None
    return Trace(found[2], found[3], found[4])


def new_trace() -> Trace:
    """A new trace."""
    return Trace(secrets.token_hex(16), secrets.token_hex(8))


def trace_of_name(*name: object) -> Trace:
    """The trace derived from a name: redeliveries of the same item get the same trace."""
    digest = hashlib.sha256("\0".join(map(str, name)).encode("utf-8", "backslashreplace")).hexdigest()
    return Trace(digest[:32], digest[32:48])


def current_trace() -> Trace | None:
    """The current trace of this thread or task."""
    return _CURRENT.get()


@contextmanager
def traced(trace: Trace, **values: object) -> Iterator[None]:
    """Makes `trace` the current one in this thread or task; log lines bear its id and the other `values`."""
    token = _CURRENT.set(trace)
    try:
        with structlog.contextvars.bound_contextvars(trace_id=trace.trace_id, **values):
            yield
    finally:
        _CURRENT.reset(token)
