"""Progress of long work, on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never, Protocol

if TYPE_CHECKING:
    from tqdm import tqdm

LOG_INTERVAL_S = 5.0
BAR_AFTER_S = 1.0  # of a comparison of a watched folder: most of them are over by then


class Progress(Protocol):
    """Files looked at, of how many; 0 while they are being counted."""

    @property
    def done(self) -> int:
        """Files looked at."""
        ...

    @property
    def total(self) -> int:
        """Files to look at."""
        ...


@contextmanager
def shown_progress(doing: str = "indexing") -> Iterator[Callable[[Progress], None]]:
    """A function that shows progress on standard error: a bar on a terminal, a log line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _logged_progress(doing=doing)
        return
    from tqdm import tqdm

    with tqdm(unit=" photos", file=sys.stderr, dynamic_ncols=True) as bar:
        yield _bar_progress(bar)


@contextmanager
def shown_watch(collection: str) -> Iterator[Callable[[Progress], None]]:
    """The same for one comparison of a watched folder. Short comparisons show nothing, and the bar is removed at the end."""
    if not sys.stderr.isatty():
        yield _logged_progress(collection, with_end=False)
        return
    from tqdm import tqdm

    with tqdm(desc=collection, unit=" photos", file=sys.stderr, dynamic_ncols=True, delay=BAR_AFTER_S, leave=False) as bar:
        yield _bar_progress(bar)


def _bar_progress(bar: "tqdm[Never]") -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        bar.total = progress.total or None
        bar.update(progress.done - bar.n)

    return show


def _logged_progress(collection: str = "", *, with_end: bool = True, doing: str = "indexing") -> Callable[[Progress], None]:
    import structlog

    log = structlog.get_logger().bind(**({"collection": collection} if collection else {}))
    shown_at, shown_count = time.monotonic(), 0

    def show(progress: Progress) -> None:
        nonlocal shown_at, shown_count
        is_due = time.monotonic() - shown_at >= LOG_INTERVAL_S or (with_end and progress.done == progress.total)
        if is_due and progress.done != shown_count:
            shown_at, shown_count = time.monotonic(), progress.done
            log.info(doing, done=progress.done, **({"total": progress.total} if progress.total else {}))

    return show


@contextmanager
def shown_steps() -> Iterator[Callable[[str, int, int], None]]:
    """A function that shows one step after the other, by its name, the amount done and the total; see `shown_progress`."""
    if not sys.stderr.isatty():
        yield _logged_steps()
        return
    from tqdm import tqdm

    with tqdm(file=sys.stderr, dynamic_ncols=True, leave=False) as bar:

        def show(step: str, done: int, total: int) -> None:
            if bar.desc != f"{step}: ":
                bar.reset(total)
                bar.set_description(step)
            bar.total = max(total, done)
            bar.update(done - bar.n)

        yield show


def _logged_steps() -> Callable[[str, int, int], None]:
    import structlog

    log = structlog.get_logger()
    shown_at = time.monotonic()

    def show(step: str, done: int, total: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= LOG_INTERVAL_S:
            shown_at = time.monotonic()
            log.info(step, done=done, total=total)

    return show
