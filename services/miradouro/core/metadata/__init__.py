"""The metadata in a photo's file and in its name.

    bytes ─► blocks ─► exif | iptc | xmp | notes ─► one PhotoMetadata

`docs/metadata.md` lists the fields with their sources, in order. Pillow is not used: its EXIF reader warns on standard error
about damage and decodes UTF-8 as Latin-1, its XMP reader needs one more package, it allocates a WebP's whole canvas to read the
header, and it does not decode IPTC texts.
"""

from miradouro.core.metadata.file_name import time_of_name
from miradouro.core.metadata.photo_metadata import TIME_SOURCES, PhotoMetadata
from miradouro.core.metadata.read import read_metadata, read_xmp_sidecar
from miradouro.core.metadata.trust import completed

__all__ = ["TIME_SOURCES", "PhotoMetadata", "completed", "read_metadata", "read_xmp_sidecar", "time_of_name"]
