"""Progress of copying a database, on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from miradouro.cli.progress import LOG_INTERVAL_S


@contextmanager
def shown_copy(name: str) -> Iterator[Callable[[int, int], None]]:
    """A function that shows pages done of pages in all: a bar on a terminal, a log line now and then elsewhere."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=name, unit=" pages", file=sys.stderr, dynamic_ncols=True) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield show
        return
    import structlog

    log = structlog.get_logger()
    logged_at = time.monotonic()

    def log_progress(done: int, total: int) -> None:
        nonlocal logged_at
        if time.monotonic() - logged_at >= LOG_INTERVAL_S:
            logged_at = time.monotonic()
            log.info(name, done=done, total=total)

    yield log_progress
