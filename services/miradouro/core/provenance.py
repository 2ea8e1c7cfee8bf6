"""Provenance: the hash of everything that determines the values of a space's vectors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

# The version of core.decode, core.fit and core.colour. Increase it with every change there that changes a vector.
# 1: colours as they are stored. 2: sRGB.
DECODE_RECIPE = 2


def provenance(
    *,
    source_sha256s: Sequence[str],
    recipe_version: int,
    precision: str,
    ranges: Mapping[str, tuple[float, float]],
    layer: str,
    pooling: str,
    storage: str = "float16",
    clip: float = 0.0,
    decode_recipe: int = DECODE_RECIPE,
    manifest: Mapping[str, Any] | None = None,
) -> str:
    """64 hexadecimal digits. `ranges` are the activation ranges of static int8, empty for other precisions.

    `layer` is empty for the model file, which does not depend on `storage`, `clip` and `decode_recipe`. `manifest` holds the
    parts of a manifest that determine the vectors, as JSON; None where the recipe version covers them.
    Two spaces with the same provenance hold comparable vectors, whatever machine and execution provider made them.
    """
    facts: dict[str, Any] = {
        "sources": sorted(source_sha256s),
        "recipe": recipe_version,
        "precision": precision,
        "ranges": {name: [float(low), float(high)] for name, (low, high) in ranges.items()},
        "layer": layer,
        "pooling": pooling,
    }
    if manifest is not None:
        facts["manifest"] = manifest
    if layer:
        facts |= {"decode": decode_recipe, "storage": storage, "clip": clip}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
