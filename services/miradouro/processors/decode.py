"""Bytes to tensors: one decode for every network that the collection's spaces need, and for the fingerprint."""

from dataclasses import replace

from pydantic import Field

from miradouro.core.decode import DecodeLimits
from miradouro.core.fingerprint import GEOMETRY
from miradouro.core.pipeline import Draft
from miradouro.core.spaces import needed_geometries
from miradouro.processors.plugin import Context, ProcessorOptions, need


class DecodeOptions(ProcessorOptions):
    """Options of `decode`."""

    max_pixels: int | None = Field(None, ge=1, description="Largest photo, width x height; null: the process's own limit.")
    min_side: int | None = Field(None, ge=1, description="Shortest side of a photo, in pixels; null: the process's own limit.")


class Decode:
    """Fills `decoded`. Raises BadPhoto."""

    Options = DecodeOptions

    def __init__(self, options: DecodeOptions, context: Context) -> None:
        self._max_pixels = options.max_pixels or context.limits.max_pixels
        self._min_side = options.min_side or context.limits.min_side
        self._context = context

    def __call__(self, draft: Draft) -> Draft:
        """The draft with its tensors."""
        data = draft.data
        need(data is not None, "decode", "the photo's bytes", "fetch")
        assert data is not None
        bundles = self._context.bundles(draft.spaces, tags=True)
        geometries = needed_geometries(bundles, [space.name for space in draft.spaces], tags=True)
        limits = DecodeLimits(len(data), self._max_pixels, self._min_side)  # fetch has seen to the bytes
        decoded = self._context.reader.decode(
            data,
            [*geometries, GEOMETRY],
            limits=limits,
            with_metadata=True,  # for the step exif, which nearly every pipeline has
            priority=self._context.priority,
            key=draft.key,
        )
        return replace(draft, decoded=decoded)
