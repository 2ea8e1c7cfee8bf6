"""The hash of all that decides the values of a space's vectors."""

import hashlib
import json
from collections.abc import Mapping, Sequence


def provenance(
    *,
    source_sha256s: Sequence[str],
    recipe_version: int,
    precision: str,
    ranges: Mapping[str, tuple[float, float]],
    layer: str,
    pooling: str,
) -> str:
    """64 hexadecimal digits. `ranges` are the activation ranges of static int8, empty for other precisions.

    Two spaces with the same provenance hold comparable vectors, whichever machine or execution provider made them.
    """
    facts = {
        "sources": sorted(source_sha256s),
        "recipe": recipe_version,
        "precision": precision,
        "ranges": {name: [float(low), float(high)] for name, (low, high) in ranges.items()},
        "layer": layer,
        "pooling": pooling,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
