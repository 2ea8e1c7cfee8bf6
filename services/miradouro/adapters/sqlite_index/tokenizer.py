"""The text analysis as the FTS5 tokenizer `miradouro`; FTS5's `porter` stems its words."""

from typing import Any

import apsw

from miradouro.core.text import words

# Separates two tags of a document, as a word that no query contains: no phrase matches across them.
TAG_BREAK = "\x1f"


def register_tokenizer(connection: apsw.Connection) -> None:
    """Registers the tokenizer on the connection. Call it before any use of a full-text table."""
    connection.register_fts5_tokenizer("miradouro", _make)


def match_phrase(raw: str) -> str:
    """One phrase of an FTS5 expression, analysed and quoted; empty when every word is a stop word."""
    folded = " ".join(word.folded for word in words(raw))
    return f'"{folded}"' if folded else ""


def _make(_connection: apsw.Connection, _arguments: list[str]) -> Any:
    return _tokenize


def _tokenize(utf8: bytes, _reason: int, _locale: str | None) -> list[tuple[int, int, str]]:
    text = utf8.decode("utf-8", "replace")
    tokens = []
    part_start = 0  # in bytes
    for number, part in enumerate(text.split(TAG_BREAK)):
        if number:
            tokens.append((part_start - 1, part_start, TAG_BREAK))
        tokens.extend(_tokens(part, part_start))
        part_start += len(part.encode()) + 1
    return tokens


def _tokens(text: str, offset: int) -> list[tuple[int, int, str]]:
    if text.isascii():
        return [(offset + word.start, offset + word.end, word.folded) for word in words(text)]
    tokens = []
    bytes_before, characters_before = offset, 0
    for word in words(text):
        start = bytes_before + len(text[characters_before : word.start].encode())
        end = start + len(text[word.start : word.end].encode())
        tokens.append((start, end, word.folded))
        bytes_before, characters_before = end, word.end
    return tokens
