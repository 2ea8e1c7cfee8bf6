"""A processor of a third party: it imports Miradouro, and Miradouro does not import it."""

from dataclasses import replace

import numpy as np
from miradouro.core.fingerprint import GEOMETRY
from miradouro.core.pipeline import PhotoInProgress
from miradouro.processors.plugin import Context, ProcessorOptions, need
from pydantic import Field


class SharpnessOptions(ProcessorOptions):
    digits: int = Field(2, ge=0, le=6)
    fail_above: float = 1e9


class Sharpness:
    """Writes the mean step between neighbouring pixels, in grey levels, into the attribute `sharpness`."""

    Options = SharpnessOptions

    def __init__(self, options: SharpnessOptions, context: Context) -> None:
        del context
        self._options = options

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        decoded = need(photo.decoded, "sharpness", "the photo's pixels", "decode")
        grey = decoded.tensors[GEOMETRY].mean(axis=2)
        step = float(np.abs(np.diff(grey, axis=1)).mean())
        if step > self._options.fail_above:
            raise ZeroDivisionError("a fault of this processor")
        return replace(photo, attributes={**photo.attributes, "sharpness": f"{step:.{self._options.digits}f}"})
