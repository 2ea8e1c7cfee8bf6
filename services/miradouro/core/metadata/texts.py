"""Decodes and cleans the texts of files for an event."""

import codecs
import re

from miradouro.core.metadata.bounds import MAX_TEXT_BYTES

# Control characters except tab and line feed, and code points that can't be encoded.
_UNWANTED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffd]")


def decode_text(raw: bytes) -> str:
    """Text of unknown encoding: UTF-8 when valid, otherwise the Windows code page of old programs.

    At most MAX_TEXT_BYTES are read; a character cut by this bound is left out.
    """
    cut = len(raw) > MAX_TEXT_BYTES
    raw = raw[:MAX_TEXT_BYTES]
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(raw, not cut)
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def lines(text: str) -> str:
    """`text` without control characters, its line ends as line feeds."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def one_line(text: str) -> str:
    """`text` without control characters, all blanks in it as single spaces."""
    return " ".join(_UNWANTED.sub("", re.sub(r"\s", " ", text)).split())
