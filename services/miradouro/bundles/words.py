"""English words: what they are a kind of among the labels and parents, irregular plurals, and which spellings are right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from miradouro.bundles.labels import LabelTable, load_labels
from miradouro.bundles.manifest import MODELS
from miradouro.core.text import fold_tag
from miradouro.core.understood import Meaning, by_words

WORDS_FILE = "wordnet-words.tsv"
MOST_STEPS = 3  # from a word up to a label or parent


@dataclass(frozen=True)
class Words:
    """The lexicon of `core.understood`, over the label table and the table of English words, which is read when it is needed."""

    table: LabelTable

    def meanings(self, word: str) -> Sequence[Meaning]:
        """See `Lexicon.meanings`."""
        if (name := self.table.words.get(word)) is not None:
            return (Meaning(name, 0),)
        _, targets = self._row(word) or ("", "")
        return tuple(_meaning(target) for target in targets.split("|")) if targets else ()

    def base_forms(self, word: str) -> Sequence[str]:
        """See `Lexicon.base_forms`. Of a phrase the last word is irregular."""
        *before, last = word.split() or [""]
        bases, _ = self._row(last) or ("", "")
        return tuple(" ".join([*before, base]) for base in bases.split("|")) if bases else ()

    def synonyms(self, name: str) -> Sequence[str]:
        """See `Lexicon.synonyms`."""
        return self._synonyms.get(name, ())

    def is_word(self, word: str) -> bool:
        """See `Lexicon.is_word`. A phrase is right when it is known, or when each of its words is."""
        return any(
            all(part in self.table.words or self._row(part) is not None for part in parts) for parts in ([word], word.split())
        )

    def in_order(self, words: frozenset[str]) -> Sequence[str]:
        """See `Lexicon.in_order`."""
        return self._by_words.get(words, ())

    def words_with_meaning(self) -> Sequence[str]:
        """See `Lexicon.words_with_meaning`."""
        return self._with_meaning

    def _row(self, word: str) -> tuple[str, str] | None:
        """The base forms of a word, and its labels and parents, as the table has them; None for a word that it lacks.

        A binary search in the file, whose rows are sorted: parsing all of them would take longer than a search by words.
        """
        data, wanted = self._data, word.encode("utf-8", "replace")
        low, high = 0, len(data)
        while low < high:
            start = data.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = data.index(b"\n", start)
            found, bases, targets = data[start:end].split(b"\t")
            if found == wanted:
                return bases.decode(), targets.decode()
            if found < wanted:
                low = end + 1
            else:
                high = start
        return None

    @cached_property
    def _data(self) -> bytes:
        return (MODELS / WORDS_FILE).read_bytes()

    @cached_property
    def _synonyms(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for word, name in self.table.words.items():
            if word != fold_tag(name):
                found.setdefault(name, []).append(word)
        return {name: tuple(words) for name, words in found.items()}

    @cached_property
    def _by_words(self) -> Mapping[frozenset[str], tuple[str, ...]]:
        return by_words(self.table.words)

    @cached_property
    def _with_meaning(self) -> tuple[str, ...]:
        rows = (line.split(b"\t") for line in self._data.splitlines())
        return (*self.table.words, *(word.decode() for word, _, targets in rows if targets))


@cache
def load_words() -> Words:
    """The words, read once."""
    return Words(load_labels())


def _meaning(target: str) -> Meaning:
    name, _, steps = target.rpartition(":")
    return Meaning(name, int(steps))
