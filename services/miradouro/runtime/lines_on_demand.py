"""Sets up logging with the first line of a library: importing structlog takes longer than answering a query."""

import logging

from miradouro.runtime.settings import LogSettings


class LinesOnDemand(logging.Handler):
    """The handler of last resort until the first line. That line and later ones go to the logs of the process."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__(logging.WARNING)
        self._settings = settings

    def emit(self, record: logging.LogRecord) -> None:
        """Sets up the logs, which replaces this handler, and hands the line over."""
        from miradouro.runtime import logs

        logs.configure(self._settings)
        if logging.lastResort is not None:
            logging.lastResort.handle(record)
