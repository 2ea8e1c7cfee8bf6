"""Caches the bundle descriptions of an embedder: photos and questions need no extra remote call."""

import threading
import time
from collections.abc import Callable, Sequence

from miradouro.core.spaces import BundleDescription

_VALID_S = 1.0  # an embedder takes longer to restart with other bundles

Describe = Callable[[], Sequence[BundleDescription]]


def cached_describe(describe: Describe) -> Describe:
    """`describe`, called at most once in _VALID_S. Thread-safe; raises what `describe` raises."""
    lock = threading.Lock()
    bundles: Sequence[BundleDescription] = ()
    described_at = float("-inf")

    def cached() -> Sequence[BundleDescription]:
        nonlocal bundles, described_at
        with lock:
            if time.monotonic() - described_at >= _VALID_S:
                bundles = describe()
                described_at = time.monotonic()
            return bundles

    return cached
