"""The analysis of text, the same for every engine.

1. Words: a maximal run of letters, marks and digits; each Han or Hiragana character is a word of its own. Everything else,
   `_` and the apostrophe too, separates words.
2. Folding: composed (NFC), characters with an ASCII reading become it (`ç` → `c`, `ø` → `o`, `ß` → `ss`), lower case.
3. Stop words of English and Portuguese are dropped, after folding.
4. Porter stemming (Porter, "An algorithm for suffix stripping", 1980), done by the engine.

Stop words leave no gap: a phrase matches over them. Tags are not analysed but folded (`fold_tag`) and compared whole.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# Characters that Unicode doesn't decompose, though they have an ASCII reading.
_READINGS = {
    "Æ": "AE", "æ": "ae", "Ð": "D", "ð": "d", "Đ": "D", "đ": "d", "Ħ": "H", "ħ": "h", "\u0131": "i", "ĸ": "q", "Ł": "L", "ł": "l",
    "Ŋ": "N", "ŋ": "n", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "ẞ": "SS", "ß": "ss", "Þ": "TH", "þ": "th", "Ŧ": "T", "ŧ": "t",
    "Ɓ": "B", "ɓ": "b", "Ɗ": "D", "ɗ": "d", "Ɛ": "E", "ɛ": "e", "Ɠ": "G", "ɠ": "g", "Ɨ": "I", "ɨ": "i", "Ƙ": "K", "ƙ": "k",
    "Ɲ": "N", "ɲ": "n", "Ɔ": "O", "ɔ": "o", "Ʋ": "V", "\u028b": "v", "Ƴ": "Y", "ƴ": "y", "Ƶ": "Z", "ƶ": "z",
    "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-",  # hyphens and dashes
    "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',  # quotes
}  # fmt: skip
_MARKS = "".join(character for character in map(chr, range(0x300, 0x2100)) if unicodedata.category(character).startswith("M"))
_OWN_WORD = "\u3005-\u3007\u3021-\u3029\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_OWN_WORD}]|(?:(?![_{_OWN_WORD}])[\w{_MARKS}])+")
_ASCII_WORDS = re.compile(r"[A-Za-z0-9]+")

_ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was "
    "will with"
)
# Articles, prepositions and their contractions, pronouns, conjunctions and auxiliary verbs; as folded.
_PORTUGUESE = (
    "a o as os um uma uns umas e ou mas nem se que quem qual quais cujo cuja como quando onde porque pois "
    "de do da dos das dum duma em no na nos nas num numa nuns numas por pelo pela pelos pelas para pra pro com sem sob sobre "
    "ate entre apos desde ao aos "
    "eu tu ele ela nos vos eles elas me te lhe lhes voce voces meu minha meus minhas teu tua teus tuas seu sua seus suas nosso "
    "nossa nossos nossas dele dela deles delas este esta estes estas esse essa esses essas aquele aquela aqueles aquelas isto "
    "isso aquilo neste nesta nestes nestas nesse nessa nesses nessas deste desta destes destas desse dessa desses dessas "
    "nao mais muito ja tambem so mesmo ainda depois "
    "ser sou somos sao era eram foi fomos foram seja sejam fosse fossem sera serao estar estou estamos estao estava estavam "
    "esteve estiveram esteja estejam ter tenho tem temos tinha tinham teve tiveram tenha tenham haver ha havia houve haja"
)
STOP_WORDS = frozenset(f"{_ENGLISH} {_PORTUGUESE}".split())


class Word(NamedTuple):
    """A folded word, not stemmed, and its position: `text[start:end]`."""

    folded: str
    start: int
    end: int


def words(text: str) -> Iterator[Word]:
    """The words of `text`, folded and without stop words, in order: steps 1 to 3."""
    pattern = _ASCII_WORDS if text.isascii() else _WORDS
    for found in pattern.finditer(text):
        folded = fold(found[0])
        if folded and folded not in STOP_WORDS:
            yield Word(folded, found.start(), found.end())


def fold(text: str) -> str:
    """`text` in lower case, every character that has an ASCII reading written in ASCII (step 2)."""
    if text.isascii():
        return text.lower()
    return "".join(map(_reading, unicodedata.normalize("NFC", text))).lower()


def fold_tag(label: str) -> str:
    """The form in which tags are compared: folded, single spaces, none at the ends."""
    return " ".join(fold(label).split())


@lru_cache(maxsize=8_192)
def _reading(character: str) -> str:
    if "\u0300" <= character <= "\u036f":  # a mark that no composed character takes up
        return ""
    if character in _READINGS:
        return _READINGS[character]
    bare = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    return bare if bare and bare.isascii() else character
