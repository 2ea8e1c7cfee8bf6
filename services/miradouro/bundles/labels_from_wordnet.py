"""Generates the label table: `python -m miradouro.bundles.labels_from_wordnet SYNSETS DATA_NOUN FOLDER`.

SYNSETS lists the WordNet ids of the 1,000 ImageNet classes in class order (timm's `imagenet_synsets.txt`), DATA_NOUN is
WordNet 3.0's `data.noun` (Debian package wordnet-base). models/README.md tells the rules that the table keeps.
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
    """.split()  # noqa: SIM905 - a hundred words read better in rows
)


@dataclass(frozen=True)
class _Synset:
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the two files of the table into FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("synsets", type=Path)
    parser.add_argument("data_noun", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    labels, parents = generate(options.synsets.read_text().split(), _read_nouns(options.data_noun))
    (options.folder / LABELS_FILE).write_text("".join(f"{line}\n" for line in labels), encoding="utf-8")
    (options.folder / PARENTS_FILE).write_text("".join(f"{line}\n" for line in parents), encoding="utf-8")


def generate(wnids: Sequence[str], nouns: dict[str, _Synset]) -> tuple[list[str], list[str]]:
    """The lines of both files: wnid, label, synonyms, parents; and parent, synonyms."""
    classes = [wnid.removeprefix("n") for wnid in wnids]
    labels = _labels(classes, nouns)
    taken = {fold_tag(label) for label in labels}
    ancestors = [list(_ancestors(key, nouns)) for key in classes]
    names = {key: name for keys in ancestors for key in keys if (name := _parent_name(key, nouns, taken))}
    taken |= {fold_tag(name) for name in names.values()}

    extra = {**dict(zip(classes, labels, strict=True)), **names}
    # A word stands for one label or parent, or it stands for none.
    meanings = Counter(word for key in extra for word in {fold_tag(lemma) for lemma in nouns[key].lemmas})

    def synonyms(key: str) -> list[str]:
        return [lemma for lemma in nouns[key].lemmas if fold_tag(lemma) not in taken and meanings[fold_tag(lemma)] == 1]

    rows = [
        "\t".join([wnid, label, "|".join(synonyms(key)), "|".join(dict.fromkeys(names[a] for a in above if a in names))])
        for wnid, key, label, above in zip(wnids, classes, labels, ancestors, strict=True)
    ]
    by_name: dict[str, list[str]] = {}
    for key in sorted(names):
        by_name.setdefault(names[key], []).extend(synonyms(key))
    return rows, ["\t".join([name, "|".join(words)]) for name, words in sorted(by_name.items())]


def _labels(classes: Sequence[str], nouns: dict[str, _Synset]) -> list[str]:
    """The first lemma; where two classes share it, another lemma of one's own, or the first with its hypernym in brackets."""
    first = Counter(nouns[key].lemmas[0] for key in classes)
    every = Counter(lemma for key in classes for lemma in nouns[key].lemmas)
    labels = []
    for key in classes:
        lemmas = nouns[key].lemmas
        if first[lemmas[0]] == 1:
            labels.append(lemmas[0])
            continue
        hypernym = nouns[nouns[key].hypernyms[0]].lemmas[0]
        labels.append(next((lemma for lemma in lemmas if every[lemma] == 1), f"{lemmas[0]} ({hypernym})"))
    return labels


def _parent_name(key: str, nouns: dict[str, _Synset], labels: set[str]) -> str | None:
    """The first lemma that is no label: a parent never shares its name with a class of another meaning."""
    lemmas = nouns[key].lemmas
    if lemmas[0].replace(" ", "_") in _TOO_ABSTRACT:
        return None
    return next((lemma for lemma in lemmas if fold_tag(lemma) not in labels), None)


def _ancestors(key: str, nouns: dict[str, _Synset]) -> Iterator[str]:
    """Every hypernym, nearest first, each once."""
    seen, level = {key}, [key]
    while level:
        level = list(dict.fromkeys(above for below in level for above in nouns[below].hypernyms if above not in seen))
        seen.update(level)
        yield from level


def _read_nouns(path: Path) -> dict[str, _Synset]:
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
            nouns[fields[0]] = _Synset(lemmas, hypernyms)
    return nouns


if __name__ == "__main__":
    main()
