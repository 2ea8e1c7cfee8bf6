"""What cameras, programs and photographers write into a photo's file, and into its name.

    bytes ─► blocks ─► exif | iptc | xmp | notes ─► one PhotoMetadata

`docs/metadata.md` is the table of what is read from where, in which order. Read here rather than by Pillow: its EXIF reader
warns on standard error about damage and takes UTF-8 for Latin-1, its XMP reader needs one more package, it makes a WebP's whole
canvas to get at the header, and it leaves IPTC texts as bytes.
"""

from miradouro.core.metadata.file_name import time_of_name
from miradouro.core.metadata.photo_metadata import TIME_SOURCES, PhotoMetadata
from miradouro.core.metadata.read import read_metadata, read_xmp_sidecar
from miradouro.core.metadata.trust import completed

__all__ = ["TIME_SOURCES", "PhotoMetadata", "completed", "read_metadata", "read_xmp_sidecar", "time_of_name"]
