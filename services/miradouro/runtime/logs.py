"""Structured logs on standard error: one JSON object a line for machines, coloured columns for people."""

import logging
import sys

import structlog

from miradouro.runtime.log_texts import LibraryLines, escape, redact
from miradouro.runtime.settings import LogSettings


def configure(settings: LogSettings | None = None) -> None:
    """Sets up structlog for this process; called once from an entry point, never at import."""
    settings = settings or LogSettings()
    as_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks first, so that they are texts as the others are. structlog's own for terminals show local variables.
    processors += [structlog.processors.format_exc_info, redact]
    if as_console:
        plain = structlog.dev.plain_traceback
        processors += [escape, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    else:
        processors.append(structlog.processors.JSONRenderer())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.lastResort = LibraryLines(logging.WARNING)  # used while no handler is configured for libraries' loggers
