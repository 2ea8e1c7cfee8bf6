"""Sanitizes the texts of log lines: no secrets of URIs, and on a terminal no control characters."""

import logging
from typing import Any

import structlog

from miradouro.core.printable import printable
from miradouro.core.redaction import public_text

_LONGEST_VALUE_CHARS = 2_048  # an error has at most half of it; the key of a record may have a megabyte
_LONGEST_TRACEBACK_CHARS = 65_536
_TRACEBACKS = ("exception", "stack")


def redact(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor: every text in a line, as `public_text` gives it, and cut where it is long."""
    return {
        name: _redacted(value, _LONGEST_TRACEBACK_CHARS if name in _TRACEBACKS else _LONGEST_VALUE_CHARS)
        for name, value in event.items()
    }


def escape(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor for terminals: every text in one line, except that tracebacks keep theirs."""
    return {name: _escaped(value, keep="\n" if name in _TRACEBACKS else "") for name, value in event.items()}


class LibraryLines(logging.Handler):
    """Converts libraries' warnings into log lines of this process, with the library's name."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one."""
        try:
            logger = structlog.get_logger()
            logger.log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info or None)
        except Exception:  # noqa: BLE001 # as every handler of logging: a line that can't be written ends nothing
            self.handleError(record)


def _redacted(value: Any, most_chars: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _redacted(one, most_chars) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(one, most_chars) for one in value]
    text = value if isinstance(value, str) else repr(value)
    shown = "\n".join(public_text(line) for line in text[:most_chars].split("\n"))
    return shown if len(text) <= most_chars else f"{shown}…"


def _escaped(value: Any, *, keep: str) -> Any:
    return printable(value, keep=keep) if isinstance(value, str) else value  # others are shown by `repr`
