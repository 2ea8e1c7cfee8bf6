"""What one run of photos through the pipeline uses."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from miradouro.core.document import Document
from miradouro.core.pipeline import Processor
from miradouro.core.ports import SourceItem
from miradouro.core.spaces import Space
from miradouro.ingest.retry_policy import RetryPolicy


@dataclass(frozen=True)
class Run:
    """Everything that one run uses. The processors own their retries; see `Pipeline.build`.

    `spaces` returns the spaces of a collection, which it creates when missing. `retriable_stops`: a retriable error that outlasts
    `retry` is raised, because it affects the other photos as well; otherwise it is the outcome of its photo. A photo host that
    does not answer never stops a run: the photo fails as `unreachable`. `moved_from` returns the tombstone of a stored photo's
    former id, None for a photo that did not move; it is None for sources without moves. `may_grow` returns whether the file of a
    failed item is still being written: then the item is not a failure yet.
    """

    processors: Sequence[Processor]
    spaces: Callable[[str], Sequence[Space]]
    retry: RetryPolicy
    retriable_stops: bool
    moved_from: Callable[[Document], Document | None] | None = None
    may_grow: Callable[[SourceItem, str], bool] | None = None

    @property
    def cancelled(self) -> threading.Event:
        """An event that is set when the caller no longer waits."""
        return self.retry.cancelled
