"""The text analysis as an FTS5 tokenizer called `miradouro`; FTS5's own `porter` stems what it gives."""

from typing import Any

import apsw

from miradouro.core.text import words

# Stands between two tags of a document, as a word that nobody asks for, so that no phrase reaches from one into the next.
TAG_BREAK = "\x1f"


def register_tokenizer(connection: apsw.Connection) -> None:
    """Teaches the connection the tokenizer; needed before any full-text table is touched."""
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
