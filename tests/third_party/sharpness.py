"""A processor as somebody else would write it: it imports Miradouro, and Miradouro knows nothing of it."""

from dataclasses import replace

import numpy as np
from miradouro.core.fingerprint import GEOMETRY
from miradouro.core.pipeline import Draft
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

    def __call__(self, draft: Draft) -> Draft:
        need(draft.decoded is not None, "sharpness", "the photo's pixels", "decode")
        assert draft.decoded is not None
        grey = draft.decoded.tensors[GEOMETRY].mean(axis=2)
        step = float(np.abs(np.diff(grey, axis=1)).mean())
        if step > self._options.fail_above:
            raise ZeroDivisionError("a fault of this processor")
        return replace(draft, attributes={**draft.attributes, "sharpness": f"{step:.{self._options.digits}f}"})
