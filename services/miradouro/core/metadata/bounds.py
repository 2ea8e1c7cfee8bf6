"""Bounds on the metadata that is read from one file.

A file of 32 MiB can hold millions of segments, chunks, values or words. Every loop over a file's bytes ends at one of these
bounds; the rest is not read. Each bound is several times as large as anything that cameras and programs write.
"""

from miradouro.core.event import MAX_CAPTION_CHARS

MAX_PARTS = 8_192  # segments, chunks and boxes of a file: a PNG of 64 MiB in pieces of 8 KiB
MAX_FILL_BYTES = 2**16  # 0xff bytes between the segments of a JPEG, together
MAX_EXIF_BYTES = 2**19
MAX_IPTC_BYTES = 2**19  # with the image resources around it
MAX_XMP_BYTES = 2**19  # larger packets carry previews or edit histories
MAX_XMP_FILE_BYTES = 2**20  # of an XMP sidecar, which carries edit histories more often
MAX_TEXT_BYTES = 4 * MAX_CAPTION_CHARS  # of one text, encoded: at most four bytes of UTF-8 or UTF-16 a character
MAX_RESOURCES = 1_024  # of Photoshop
MAX_ITEMS = 2_048  # of a HEIF file: tiles, thumbnails and metadata
MAX_ENTRIES = 1_024  # of one EXIF directory
MAX_DATASETS = 2_048  # of IPTC-IIM
MAX_ELEMENTS = 8_192  # of an XMP packet
MAX_LENIENT_CHARS = 2**16  # of an XMP packet that is not well-formed XML: the most that a JPEG segment holds
