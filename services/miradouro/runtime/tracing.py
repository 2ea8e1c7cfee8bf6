"""One trace id for whatever is done for one event or one call, in every process and every log line: W3C Trace Context.

It travels as `traceparent`: an attribute of CloudEvents (their distributed tracing extension), a key of gRPC metadata, a header
of HTTP. We send no spans anywhere, so the header alone is enough; a collector of spans finds ours by their ids.
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
    """A place in a trace: ids as lower-case hexadecimal, 32 and 16 digits, and the flags, 2 digits."""

    trace_id: str
    span_id: str
    flags: str = _SAMPLED

    @property
    def header(self) -> str:
        """As it is sent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self) -> "Trace":
        """The same trace, a step further."""
        return replace(self, span_id=secrets.token_hex(8))


_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def read_trace(header: str | None) -> Trace | None:
    """The trace of a header; None where it has none. By the standard a bad header counts as none."""
    found = _HEADER.fullmatch((header or "").strip())
    if found is None or (found[1] == "00" and found[5]):
        return None
    return Trace(found[2], found[3], found[4])


def new_trace() -> Trace:
    """A new trace."""
    return Trace(secrets.token_hex(16), secrets.token_hex(8))


def trace_of_name(*name: object) -> Trace:
    """The trace of something that has a name of its own, and comes again with it: the same one each time."""
    digest = hashlib.sha256("\0".join(map(str, name)).encode("utf-8", "backslashreplace")).hexdigest()
    return Trace(digest[:32], digest[32:48])


def current_trace() -> Trace | None:
    """That of the work that this thread or task does."""
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
