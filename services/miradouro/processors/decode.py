"""Decodes the photo once: into the tensors of all needed networks and the one of the fingerprint."""

from dataclasses import replace

from pydantic import Field

from miradouro.core.fingerprint import GEOMETRY
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.pipeline import PhotoInProgress
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

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with its tensors."""
        data = need(photo.data, "decode", "the photo's bytes", "fetch")
        bundles = self._context.bundles(photo.spaces, tags=True)
        geometries = needed_geometries(bundles, [space.name for space in photo.spaces], tags=True)
        limits = DecodeLimits(len(data), self._max_pixels, self._min_side)  # fetch has checked the size in bytes
        decoded = self._context.reader.decode(
            data,
            [*geometries, GEOMETRY],
            limits=limits,
            with_metadata=True,  # for the step `exif`: saves a second call
            priority=self._context.priority,
            key=photo.key,
        )
        return replace(photo, decoded=decoded)
