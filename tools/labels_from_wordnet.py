"""Generates the label table: `python -m tools.labels_from_wordnet SYNSETS DATA_NOUN FOLDER`.

SYNSETS lists the WordNet ids of the 1,000 ImageNet classes in class order (timm's `imagenet_synsets.txt`), DATA_NOUN is
WordNet 3.0's `data.noun` (Debian package wordnet-base). models/README.md has the rules that the table keeps.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from miradouro.bundles.labels import LABELS_FILE, PARENTS_FILE
from miradouro.core.text import fold_tag

# Hypernyms that nobody searches for: too abstract, or terms of classification that say no more than a neighbour does.
_TOO_ABSTRACT = frozenset(
    """
    entity physical_entity abstraction object whole artifact matter substance solid fluid liquid thing causal_agent agent
    organism living_thing chordate placental prototherian metatherian diapsid anapsid heterotroph
    instrumentality conveyance commodity consumer_goods durables covering protective_covering device implement system
    article ware piece part relation attribute shape round_shape communication creation product production medium
    location point geographic_point natural_object plant_part plant_organ reproductive_structure nutriment foodstuff
    ingredient restraint obstruction barrier support supporting_structure structural_member framework mechanism
    mechanical_device rotating_mechanism establishment place_of_business institution connection attachment
    material piece_of_cloth work surface horizontal_surface control measure design signal sign visual_signal
    vascular_plant spermatophyte angiosperm public_press print_media excavation padding strengthener associate peer
    racer plate upright
    """.split()  # noqa: SIM905 - a hundred words read better in rows
)

# In WordNet a wheeled vehicle is a container too.
_WRONG = frozenset({("wheeled vehicle", "container")})


@dataclass(frozen=True)
class Synset:
    """A WordNet synset: its words, and the offsets of its hypernyms."""

    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the two files of the table into FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("synsets", type=Path)
    parser.add_argument("data_noun", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    labels, parents = generate(options.synsets.read_text().split(), read_nouns(options.data_noun))
    (options.folder / LABELS_FILE).write_text("".join(f"{line}\n" for line in labels), encoding="utf-8")
    (options.folder / PARENTS_FILE).write_text("".join(f"{line}\n" for line in parents), encoding="utf-8")


def generate(wnids: Sequence[str], nouns: dict[str, Synset]) -> tuple[list[str], list[str]]:
    """The lines of both files: wnid, label, synonyms, parents; and parent, synonyms."""
    classes = [wnid.removeprefix("n") for wnid in wnids]
    firsts = Counter(fold_tag(_word(key, nouns)) for key in classes)
    ancestors = [parents_of(key, nouns) for key in classes]
    names = parent_names(classes, nouns)
    # A word of several meanings is a parent of all of them, so that who searches for it finds each.
    used = {fold_tag(name) for name in names.values()}
    homonyms = {word for word in firsts if firsts[word] > 1 or word in used}
    labels = [_label(key, nouns, homonyms, classes) for key in classes]
    taken = {fold_tag(name) for name in (*labels, *names.values())} | homonyms
    named = [*classes, *names]
    meanings = Counter(word for key in named for word in {fold_tag(lemma) for lemma in nouns[key].lemmas})

    def synonyms(key: str) -> list[str]:
        return [lemma for lemma in nouns[key].lemmas if fold_tag(lemma) not in taken and meanings[fold_tag(lemma)] == 1]

    rows = []
    for wnid, key, label, above in zip(wnids, classes, labels, ancestors, strict=True):
        own = [word] if (word := fold_tag(_word(key, nouns))) in homonyms else []
        parents = dict.fromkeys([*own, *(names[ancestor] for ancestor in above)])
        rows.append("\t".join([wnid, label, "|".join(synonyms(key)), "|".join(parents)]))
    by_name: dict[str, list[str]] = {word: [] for word in homonyms}
    for key in sorted(names):
        by_name.setdefault(names[key], []).extend(synonyms(key))
    return rows, ["\t".join([name, "|".join(words)]) for name, words in sorted(by_name.items())]


def parent_names(classes: Sequence[str], nouns: dict[str, Synset]) -> dict[str, str]:
    """Offset → name of every parent of the classes.

    A parent has the first of its words that no class has as its own; if there is none, the class makes way.
    """
    firsts = {fold_tag(_word(key, nouns)) for key in classes}
    return {
        parent: next((lemma for lemma in nouns[parent].lemmas if fold_tag(lemma) not in firsts), _word(parent, nouns))
        for key in classes
        for parent in parents_of(key, nouns)
    }


def parents_of(key: str, nouns: dict[str, Synset]) -> list[str]:
    """The hypernyms of a synset that are worth searching for, nearest first."""
    return [parent for level in levels_above(key, nouns) for parent in level if not _is_abstract(parent, nouns)]


def _label(key: str, nouns: dict[str, Synset], homonyms: set[str], classes: Sequence[str]) -> str:
    """The class's first word; another one of its own where that has several meanings, or it with its hypernym in brackets."""
    if fold_tag(_word(key, nouns)) not in homonyms:
        return _word(key, nouns)
    uses = Counter(fold_tag(lemma) for each in classes for lemma in nouns[each].lemmas)
    hypernym = _word(nouns[key].hypernyms[0], nouns)
    own = (lemma for lemma in nouns[key].lemmas if uses[fold_tag(lemma)] == 1 and fold_tag(lemma) not in homonyms)
    return next(own, f"{_word(key, nouns)} ({hypernym})")


def _word(key: str, nouns: dict[str, Synset]) -> str:
    return nouns[key].lemmas[0]


def _is_abstract(key: str, nouns: dict[str, Synset]) -> bool:
    return _word(key, nouns).replace(" ", "_") in _TOO_ABSTRACT


def levels_above(key: str, nouns: dict[str, Synset]) -> Iterator[list[str]]:
    """Every hypernym, each once: those one step above, then those two steps above, and so on."""
    seen, level = {key}, [key]
    while level:
        steps = [(below, above) for below in level for above in nouns[below].hypernyms]
        allowed = [above for below, above in steps if (_word(below, nouns), _word(above, nouns)) not in _WRONG]
        level = [above for above in dict.fromkeys(allowed) if above not in seen]
        seen.update(level)
        yield level


def read_nouns(path: Path) -> dict[str, Synset]:
    """Offset → synset, from lines as wndb(5WN) describes them."""
    nouns = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(" "):  # the licence at the top
                continue
            fields = line.split(" | ")[0].split()
            count = int(fields[3], 16)
            lemmas = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count))
            pointers = fields[5 + 2 * count :]
            hypernyms = tuple(pointers[i + 1] for i in range(0, 4 * int(fields[4 + 2 * count]), 4) if pointers[i] in ("@", "@i"))
            nouns[fields[0]] = Synset(lemmas, hypernyms)
    return nouns


if __name__ == "__main__":
    main()
