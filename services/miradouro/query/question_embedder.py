"""The embedder of questions: the one owner of their retries, and a cache of the bundles."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import tenacity

from miradouro.adapters.described import cached_describe
from miradouro.core.embedding import Embedding, Priority, Tensor
from miradouro.core.errors import MiradouroError
from miradouro.core.ports import Embedder
from miradouro.core.spaces import BundleDescription, Geometry

_PATIENCE_S = 5.0  # as long as a person waits; bounds time, not tries: jitter may spend any number of tries at once
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_TIMEOUT_S = 60.0
T = TypeVar("T")


class QuestionEmbedder:
    """Embedder over another one, which may be remote. Thread-safe.

    Retriable errors are retried for _PATIENCE_S, after pauses with full jitter, never past the timeout of the call: a person
    waits, and a replica that restarts is back, or has a neighbour, within seconds.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._describe = cached_describe(embedder.describe)

    def describe(self) -> Sequence[BundleDescription]:
        """See `Embedder.describe`; the bundles may be a second old."""
        return _retried(lambda _: self._describe(), timeout_s=_TIMEOUT_S)

    def embed(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        *,
        spaces: Sequence[str],
        tags: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
    ) -> list[Embedding]:
        """See `Embedder.embed`; `timeout_s` includes tries and pauses, None means _TIMEOUT_S."""
        return _retried(
            lambda left_s: self._embedder.embed(photos, spaces=spaces, tags=tags, priority=priority, timeout_s=left_s),
            timeout_s=_TIMEOUT_S if timeout_s is None else timeout_s,
        )


def _retried(call: Callable[[float], T], *, timeout_s: float) -> T:
    """The result of `call`, which gets the seconds that are left. Raises its last error."""
    deadline = time.monotonic() + timeout_s
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, MiradouroError) and error.retriable),
        stop=tenacity.stop_before_delay(min(timeout_s, _PATIENCE_S)),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        reraise=True,
    )
    return retrying(lambda: call(deadline - time.monotonic()))
