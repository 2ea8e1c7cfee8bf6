"""The EXIF orientation of a photo, from its first EXIF block alone."""

from PIL import Image

from miradouro.core.metadata.tiff import first_directory

_ORIENTATION = 0x0112

# The transposition that turns the stored pixels upright, by orientation; 1 needs none.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_orientation(exif: bytes) -> int:
    """1 to 8, from a TIFF structure with or without the mark `Exif` before it; 1 where it is absent or damaged."""
    block = exif[6:] if exif.startswith(b"Exif\0") else exif
    try:
        orientation = first_directory(block).number(_ORIENTATION) if block else None
    except ValueError:  # a damaged EXIF block is no reason to refuse the photo
        return 1
    return orientation if orientation in UPRIGHT else 1
