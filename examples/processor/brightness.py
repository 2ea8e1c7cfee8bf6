"""A processor in a package of its own: it writes how bright a photo is into the attribute `brightness`."""

from dataclasses import replace

from miradouro.core.fingerprint import GEOMETRY
from miradouro.processors.plugin import Context, PhotoInProgress, ProcessorOptions, need
from pydantic import Field


class BrightnessOptions(ProcessorOptions):
    """`digits`: how many digits follow the point."""

    digits: int = Field(2, ge=1, le=6)


class Brightness:
    """Fills the attribute `brightness`: the mean of all channels, 0 (black) to 1 (white)."""

    Options = BrightnessOptions

    def __init__(self, options: BrightnessOptions, context: Context) -> None:
        del context
        self._digits = options.digits

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with one more attribute."""
        decoded = need(photo.decoded, "brightness", "the photo's pixels", "decode")
        brightness = float(decoded.tensors[GEOMETRY].mean()) / 255  # uint8 [32, 32, 3]
        return replace(photo, attributes={**photo.attributes, "brightness": f"{brightness:.{self._digits}f}"})
