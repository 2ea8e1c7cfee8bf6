"""Writes the golden vectors: `python -m tools.write_bundle_vectors`, after a change that is meant to change them."""

import json
from pathlib import Path

import numpy as np
from miradouro.bundles.settings import BundleSettings

from tests.networks import INDEXED, run_bundle
from tests.scenes import scene

FILE = Path(__file__).parents[1] / "tests" / "golden" / "bundle_vectors.json"
SEED = 0
VALUES = 12


def largest(output: np.ndarray) -> dict[str, float]:
    """The VALUES largest components of the first photo's output by their place in it, since many of the others are zero."""
    flat = output[0].ravel()
    return {str(place): round(float(flat[place]), 6) for place in np.sort(np.argsort(-flat, kind="stable")[:VALUES])}


def main() -> None:
    """Replaces the file."""
    folder = BundleSettings().folder
    golden = {
        f"{manifest.name} {precision}": {
            name: largest(output)
            for name, output in run_bundle(manifest.name, precision, folder, scene(SEED)[np.newaxis]).items()
        }
        for manifest in INDEXED
        for precision in manifest.precisions
    }
    FILE.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
