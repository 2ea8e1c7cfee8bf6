"""The one owner of retries of ingest: steps, collections, writes and dead letters are retried here and nowhere below."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
import tenacity

from miradouro.core.errors import MiradouroError, OriginalUnavailable
from miradouro.ingest.metrics import IngestMetrics

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_TRIES_UNTIL_LOGGED = 4
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How a run retries. Thread-safe.

    A call that raises a retriable error is repeated after pauses with full jitter, for `retry_s` seconds (math.inf: without
    limit), or until `cancelled` is set. `original_retry_s` is the limit while the host of a photo does not answer: that one
    host must not hold up the others.
    """

    cancelled: threading.Event
    retry_s: float
    original_retry_s: float
    metrics: IngestMetrics

    def __call__(self, name: str, call: Callable[[], T]) -> T:
        """The result of `call`; `name` stands for it in metrics and logs. Raises its last error."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, MiradouroError) and error.retriable),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
            stop=self._is_over,
            before_sleep=functools.partial(self._count, name),
            sleep=tenacity.sleep_using_event(self.cancelled),
            reraise=True,
        )
        return retrying(call)

    def once(self) -> "RetryPolicy":
        """The policy without retries."""
        return replace(self, retry_s=0.0)

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        retry_s = min(self.retry_s, self.original_retry_s) if isinstance(error, OriginalUnavailable) else self.retry_s
        return self.cancelled.is_set() or tenacity.stop_before_delay(retry_s)(state)

    def _count(self, name: str, state: tenacity.RetryCallState) -> None:
        """Counts a retry, and logs the 4th, 8th, 16th …: an operator who sees photos wait finds the reason."""
        self.metrics.retries.labels(name).inc()
        tries = state.attempt_number
        if tries >= _TRIES_UNTIL_LOGGED and tries & (tries - 1) == 0 and state.outcome is not None:
            _log.warning("still waiting", step=name, tries=tries, error=str(state.outcome.exception()))
