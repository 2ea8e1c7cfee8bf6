"""Converts pixels to sRGB, by littleCMS."""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from miradouro.core.colour.icc import SRGB, Profile, usable

if TYPE_CHECKING:
    from PIL import ImageCms

_KEPT = 8  # cached conversions: a folder's photos come from a few cameras and programs
_INVISIBLE = 2  # levels of 255 by which profiles named sRGB differ from each other


@dataclass(frozen=True)
class Conversion:
    """Turns pixels of `channels` (L, RGB or CMYK) into sRGB."""

    channels: str
    transform: "ImageCms.ImageCmsTransform"

    def __call__(self, image: Image.Image) -> Image.Image:
        """`image` (L, LA, RGB, RGBA or CMYK) as RGB; as RGBA where it has alpha, which stays."""
        converted = self.transform.apply(image.convert(self.channels))
        if image.mode in {"LA", "RGBA"}:
            converted.putalpha(image.getchannel("A"))
        return converted


def conversion_to_srgb(profiles: Sequence[bytes], channels: str) -> Conversion | None:
    """The conversion by the first of `profiles`, in the order of trust, that is usable for pixels of `channels` (L, RGB, CMYK).

    None when the pixels are sRGB or nearly so, or when no profile is usable. Damaged profiles raise no error.
    """
    for profile in profiles:
        if profile == SRGB:
            return None
        found = _conversion(profile, channels)
        if found is not None:
            return None if isinstance(found, _NotNeeded) else found
    return None


class _NotNeeded:
    """The result for a profile that changes nothing visible, because it describes sRGB."""


@functools.lru_cache(maxsize=_KEPT)
def _conversion(profile: bytes, channels: str) -> Conversion | _NotNeeded | None:
    """None when the profile is not usable for these pixels."""
    from PIL import ImageCms  # here: most photos do not need it

    found = usable(profile)
    # A grey photo may have a profile of RGB; others have one of their own channels.
    if found is None or (found.channels != channels and (channels, found.channels) != ("L", "RGB")):
        return None
    try:
        made = Conversion(found.channels, _transform(found))
        return _NotNeeded() if _changes_nothing(made) else made
    except (ImageCms.PyCMSError, OSError, ValueError):  # littleCMS cannot read it
        return None


def _transform(profile: Profile) -> "ImageCms.ImageCmsTransform":
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile.data))
    return ImageCms.ImageCmsTransform(source, _srgb(), profile.channels, "RGB", ImageCms.Intent.PERCEPTUAL)


@functools.cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes_nothing(conversion: Conversion) -> bool:
    if conversion.channels == "CMYK":
        return False
    colours = _probe(conversion.channels)
    after = np.asarray(conversion(colours)).astype(int)
    return bool(np.abs(after - np.asarray(colours.convert("RGB"))).max() <= _INVISIBLE)


@functools.cache
def _probe(channels: str) -> Image.Image:
    """A picture of colours spread over the RGB cube, and of every grey."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    if channels == "L":
        return Image.fromarray(greys[None, :, 0])
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return Image.fromarray(np.concatenate((greys, cube))[None])
