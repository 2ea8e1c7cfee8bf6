"""Bytes to tensors: one decode for every network that the collection's spaces need, and for the fingerprint."""

from dataclasses import replace

from pydantic import Field

from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits, decode
from miradouro.core.fingerprint import GEOMETRY
from miradouro.core.pipeline import Draft
from miradouro.processors.plugin import Context, ProcessorOptions, need


class DecodeOptions(ProcessorOptions):
    """Options of `decode`."""

    max_pixels: int = Field(DEFAULT_LIMITS.max_pixels, ge=1, description="Largest photo, width x height in pixels.")
    min_side: int = Field(DEFAULT_LIMITS.min_side, ge=1, description="Shortest side of a photo, in pixels.")


class Decode:
    """Fills `decoded`. Raises BadPhoto."""

    Options = DecodeOptions

    def __init__(self, options: DecodeOptions, context: Context) -> None:
        self._limits = options
        self._context = context

    def __call__(self, draft: Draft) -> Draft:
        """The draft with its tensors."""
        data = draft.data
        need(data is not None, "decode", "the photo's bytes", "fetch")
        assert data is not None
        geometries = [bundle.geometry for bundle in self._context.bundles(draft.spaces, tags=True)]
        limits = DecodeLimits(len(data), self._limits.max_pixels, self._limits.min_side)
        return replace(draft, decoded=decode(data, [*geometries, GEOMETRY], limits=limits))
