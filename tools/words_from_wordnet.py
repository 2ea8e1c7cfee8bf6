"""Generates the table of English words: `python -m tools.words_from_wordnet WORDNET FOLDER`, after tools.labels_from_wordnet.

WORDNET is the folder of WordNet 3.0 (Debian package wordnet-base: /usr/share/wordnet), FOLDER that of the label table. The table
has a row for each word: the word, its base form where it is irregular, and the labels or parents that it is a kind of.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from miradouro.bundles.labels import LabelTable, load_labels
from miradouro.bundles.words import MOST_STEPS, WORDS_FILE
from miradouro.core.text import fold_tag

from tools.labels_from_wordnet import Synset, levels_above, parent_names, parents_of, read_nouns

_PARTS = ("noun", "verb", "adj", "adv")
# Everyday words that WordNet does not place below their kind.
_EVERYDAY = {"people": "person:0", "kitten": "cat:1", "kitty": "cat:1"}
_BROAD = 150  # a word below a parent of more classes than this says too little about what is meant
_SHORTEST = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the table into FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wordnet", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    rows = generate(options.wordnet, load_labels())
    (options.folder / WORDS_FILE).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def generate(wordnet: Path, table: LabelTable) -> list[str]:
    """The rows, sorted: word, base forms, and `name:steps` of labels and parents; lists are separated by `|`."""
    nouns = read_nouns(wordnet / "data.noun")
    names = _names(table, nouns)
    senses = dict(_lines(wordnet / "index.noun"))
    found: dict[str, tuple[list[str], list[str]]] = {}
    # A name is no evidence that a word is spelled right: Lisboa may be typed for Lisbon.
    common = {lemma for synset in nouns.values() for lemma in synset.lemmas if lemma.islower()}
    for part in _PARTS:
        for lemma, _ in _lines(wordnet / f"index.{part}"):
            if part == "noun" and lemma not in common:
                continue
            if len(lemma) >= _SHORTEST and lemma.isascii() and lemma.isalpha():
                found[lemma] = ([], [])
    for lemma, keys in senses.items():
        word = fold_tag(lemma.replace("_", " "))
        if word not in table.words and (targets := _targets(keys, names, nouns)) and (" " not in word or targets[0][-1] in "01"):
            found.setdefault(word, ([], []))[1].extend(targets)
    for word, target in _EVERYDAY.items():
        found[word] = ([], [target])
    for line in (wordnet / "noun.exc").read_text(encoding="utf-8").splitlines():
        plural, *bases = line.replace("_", " ").split()
        if len(bases) == 1 and bases[0] in found | table.words.keys() and bases[0] != plural:
            found.setdefault(plural, ([], []))[0].append(bases[0])
    return ["\t".join([word, "|".join(bases), "|".join(targets)]) for word, (bases, targets) in sorted(found.items())]


def _names(table: LabelTable, nouns: dict[str, Synset]) -> dict[str, str]:
    """Offset → label or parent, without the broad ones."""
    classes = [row.wnid.removeprefix("n") for row in table.rows]
    below = Counter(parent for key in classes for parent in parents_of(key, nouns))
    narrow = {key: name for key, name in parent_names(classes, nouns).items() if below[key] <= _BROAD}
    return narrow | dict(zip(classes, table.labels, strict=True))


def _targets(keys: Sequence[str], names: dict[str, str], nouns: dict[str, Synset]) -> list[str]:
    """The labels and parents that the most frequent sense names, or is nearest to; those that the second sense names, too.

    WordNet orders senses by frequency: a step above a rare sense leads away from what is meant.
    """
    named = [names[key] for key in keys[:2] if key in names]
    if named:
        return [f"{name}:0" for name in dict.fromkeys(named)]
    for steps, level in zip(range(1, MOST_STEPS + 1), levels_above(keys[0], nouns), strict=False):
        if reached := [names[above] for above in level if above in names]:
            return [f"{name}:{steps}" for name in dict.fromkeys(reached)]
    return []


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Lemma and the offsets of its synsets, most frequent sense first, from lines as wndb(5WN) describes them."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):  # the licence at the top
            lemma, _, count, *rest = line.split()
            yield lemma, rest[-int(count) :]


if __name__ == "__main__":
    main()
