"""Measured peaks of memory lie below the estimates; too little memory is said to be that."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tests.colours import DISPLAY_P3, ink_profile
from tests.hostile_photos import flat_png, png_bomb_16bit_trns, progressive_bomb, webp_bomb
from tests.pictures import encode

# Measures in a process of its own: `reset` of the peak that the kernel keeps, one decode, the peak again.
_MEASURE = """
import json, sys
from contextlib import nullcontext
from pathlib import Path
from miradouro.core.decode import decode
from miradouro.core.errors import BadPhoto
from miradouro.core.spaces import Fit, Geometry, Resample

def kib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

data, small, limit = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
geometries = [Geometry(Fit.SQUASH, 224, 224, 0, Resample.BILINEAR),
              Geometry(Fit.SHORT_SIDE_CENTER_CROP, 224, 224, 256, Resample.BICUBIC)]
decode(small, geometries)  # what is loaded once
Path("/proc/self/clear_refs").write_text("5")
before, peaks, reason = kib("VmRSS"), [0], ""
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (kib("VmSize") * 1024 + limit,) * 2)
try:
    decode(data, geometries, reserve=lambda peak: peaks.append(peak) or nullcontext())
except BadPhoto as error:
    reason = error.reason
print(json.dumps([(kib("VmHWM") - before) * 1024, peaks[-1], reason]))
"""


def measured(folder: Path, data: bytes, small: bytes, *, address_space: int = 0) -> tuple[int, int, str]:
    """Peak and estimate in bytes, and the reason if the photo is refused, under so many bytes of further address space."""
    (folder / "photo").write_bytes(data)
    (folder / "small").write_bytes(small)
    command = [sys.executable, "-c", _MEASURE, folder / "photo", folder / "small", str(address_space)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""  # neither a warning
    peak, estimate, reason = json.loads(done.stdout)
    return peak, estimate, reason


def noise(side: int, mode: str) -> Image.Image:
    """A picture that does not compress to nothing."""
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = np.random.default_rng(0).integers(0, 256, (side // 10, side // 10, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(), mode).resize((side, side))


def heif(image: Image.Image, **options: int) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=60, **options)
    return out.getvalue()


def small(name: str) -> bytes:
    """A small photo in the format of the one that is called so."""
    file_format = name.split(",", 1)[0].upper()
    return heif(noise(100, "RGB")) if file_format == "HEIF" else encode(noise(100, "RGB"), file_format)


_SIDE = 2_500
_PALETTE = [(b"PLTE", bytes(768)), (b"tRNS", bytes(200))]
PHOTOS = {
    "jpeg": lambda: encode(noise(_SIDE, "RGB"), "JPEG"),
    "jpeg, cmyk": lambda: encode(noise(_SIDE, "CMYK"), "JPEG"),
    "jpeg, progressive 4:4:4": lambda: encode(noise(_SIDE, "RGB"), "JPEG", progressive=True, subsampling=0),
    "jpeg, progressive grey": lambda: progressive_bomb(20, 8_000, 8_000),
    "jpeg, no end": lambda: encode(noise(_SIDE, "RGB"), "JPEG", progressive=True)[:-2],
    "png": lambda: encode(noise(_SIDE, "RGB"), "PNG", compress_level=1),
    "png, alpha": lambda: flat_png(_SIDE, _SIDE, colour_type=6),
    "png, alpha, in strips": lambda: flat_png(2 * _SIDE, 2 * _SIDE, colour_type=6),
    "png, 16 bits, transparent": lambda: png_bomb_16bit_trns(_SIDE, _SIDE),
    "png, 16 bits, transparent, in strips": lambda: png_bomb_16bit_trns(3 * _SIDE, 2 * _SIDE),
    "png, 16 bits, grey and alpha": lambda: flat_png(_SIDE, _SIDE, bits=16, colour_type=4),
    "png, one transparent colour": lambda: flat_png(_SIDE, _SIDE, before_pixels=[(b"tRNS", bytes(6))]),
    "png, palette with alpha": lambda: flat_png(_SIDE, _SIDE, colour_type=3, before_pixels=_PALETTE),
    "png, palette with alpha, in strips": lambda: flat_png(2 * _SIDE, 2 * _SIDE, colour_type=3, before_pixels=_PALETTE),
    "png, interlaced": lambda: flat_png(_SIDE, _SIDE, interlaced=True),
    "png, one bit": lambda: flat_png(_SIDE, _SIDE, bits=1, colour_type=0),
    "png, tall": lambda: png_bomb_16bit_trns(2, 65_535),
    "png, wide": lambda: png_bomb_16bit_trns(65_535, 2),
    "webp": lambda: encode(noise(_SIDE, "RGB"), "WEBP", method=0),
    "webp, lossless alpha": lambda: encode(noise(_SIDE, "RGBA"), "WEBP", lossless=True, method=0, quality=0),
    "webp, flat": lambda: webp_bomb(_SIDE, 2 * _SIDE),
    "heif": lambda: heif(noise(_SIDE, "RGB")),
    "heif, alpha": lambda: heif(noise(_SIDE, "RGBA"), chroma=444),
    "jpeg, wide colours": lambda: encode(noise(_SIDE, "RGB"), "JPEG", icc_profile=DISPLAY_P3.profile),
    "jpeg, inks": lambda: encode(noise(_SIDE, "CMYK"), "JPEG", icc_profile=ink_profile(lambda _: (50, 0, 0), grid=9)),
    "png, wide colours and alpha": lambda: encode(noise(600, "RGBA"), "PNG", icc_profile=DISPLAY_P3.profile),
    "avif": lambda: encode(noise(_SIDE, "RGB"), "AVIF", speed=10),
    "avif, 4:4:4 alpha": lambda: encode(noise(_SIDE, "RGBA"), "AVIF", speed=10, subsampling="4:4:4"),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_the_peak_lies_below_the_estimate(tmp_path, name):
    peak, estimate, reason = measured(tmp_path, PHOTOS[name](), small(name))

    assert reason == ""
    assert peak <= estimate < 4 * peak + 64 * 2**20  # nor is it far too high


@pytest.mark.parametrize("name", ["jpeg, progressive 4:4:4", "png", "webp, flat", "avif"])
def test_too_little_address_space_is_no_damage(tmp_path, name):
    assert measured(tmp_path, PHOTOS[name](), small(name), address_space=12 * 2**20)[2] == "too_expensive"
