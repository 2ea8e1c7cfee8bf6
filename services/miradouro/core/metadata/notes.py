"""Texts that belong to the file format: those of PNG (chapter 11.3.3), and the comment of JPEG."""

from collections.abc import Mapping

from miradouro.core.metadata.block_metadata import BlockMetadata, bounded
from miradouro.core.metadata.times import read_mail_time, read_time


def read_notes(texts: Mapping[str, str]) -> BlockMetadata:
    """Title, caption and time of `texts`, which are by keyword in lower case. `time` is the chunk tIME, in UTC."""
    unread: list[str] = []
    taken = None
    for keyword, read in (("creation time", read_mail_time), ("creationtime", read_mail_time), ("time", read_time)):
        try:
            taken = taken or read(texts.get(keyword, ""))
        except (ValueError, OverflowError):
            unread.append(f"png.{keyword}")
    return bounded(
        titles=[texts.get("title", "")],
        captions=[texts.get("description", ""), texts.get("comment", "")],
        times={"png": taken},
        unread=unread,
    )
