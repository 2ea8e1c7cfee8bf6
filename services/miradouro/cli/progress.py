"""Progress of indexing, on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from miradouro.v1.ingest_service_pb2 import FolderProgress

LOG_INTERVAL_S = 5.0


@contextmanager
def shown_progress() -> Iterator[Callable[["FolderProgress"], None]]:
    """A function that shows progress on standard error: a bar on a terminal, a log line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _logged_progress()
        return
    from tqdm import tqdm

    with tqdm(unit=" photos", file=sys.stderr, dynamic_ncols=True) as bar:

        def show(progress: "FolderProgress") -> None:
            bar.total = progress.total or None
            bar.update(progress.done - bar.n)

        yield show


def _logged_progress() -> Callable[["FolderProgress"], None]:
    import structlog

    log = structlog.get_logger()
    told_at, told = time.monotonic(), 0

    def show(progress: "FolderProgress") -> None:
        nonlocal told_at, told
        is_due = time.monotonic() - told_at >= LOG_INTERVAL_S or progress.done == progress.total
        if is_due and progress.done != told:
            told_at, told = time.monotonic(), progress.done
            log.info("indexing", done=progress.done, total=progress.total)

    return show
