"""Structured logs on standard error: one JSON object a line for machines, coloured columns for people."""

import logging
import sys

import structlog

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
    if as_console:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
