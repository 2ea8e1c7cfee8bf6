"""The only retries of the audit: a long audit must survive a short overload of Kafka, the index or the embedder."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

from miradouro.core.errors import MiradouroError

_ATTEMPTS = 6
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
T = TypeVar("T")


def patiently(call: Callable[[], T]) -> T:
    """The result of `call`, which is repeated after pauses while it raises a retriable error. Raises its last error."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, MiradouroError) and error.retriable),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    return retrying(call)
