"""What cameras and photographers write into a photo's file: EXIF, IPTC-IIM and XMP.

    bytes ─► blocks ─► exif | iptc | xmp ─► one PhotoMetadata, XMP before IPTC before EXIF

Read here rather than by Pillow: its EXIF reader warns on standard error about damage and takes UTF-8 for Latin-1, its XMP
reader needs one more package, it makes a WebP's whole canvas to get at the header, and it leaves IPTC texts as bytes.
"""

from miradouro.core.metadata.photo_metadata import PhotoMetadata
from miradouro.core.metadata.read import read_metadata

__all__ = ["PhotoMetadata", "read_metadata"]
