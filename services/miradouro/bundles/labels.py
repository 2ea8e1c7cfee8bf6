"""Label tables: the 1,000 ImageNet classes with synonyms and parents in WordNet, or a bundle's own list."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from miradouro.bundles.manifest import MODELS, Manifest
from miradouro.core.embedding import IMAGENET
from miradouro.core.errors import BadBundle
from miradouro.core.text import fold_tag

LABELS_FILE = "imagenet-1k.tsv"
PARENTS_FILE = "imagenet-1k-parents.tsv"


@dataclass(frozen=True)
class LabelRow:
    """One class of ImageNet. `wnid` is its id in WordNet 3.0; `parents` are the hypernyms worth searching for, nearest first."""

    wnid: str
    label: str
    synonyms: tuple[str, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True)
class LabelTable:
    """The classes in the order of the network's outputs.

    No label is also a parent. `words` maps every folded label, parent and synonym to its label or parent.
    """

    rows: tuple[LabelRow, ...]
    words: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in class order."""
        return tuple(row.label for row in self.rows)

    def parents(self, label_index: int) -> tuple[str, ...]:
        """The parents of a class, nearest first."""
        return self.rows[label_index].parents


@cache
def load_labels() -> LabelTable:
    """The table, read once."""
    rows = tuple(
        LabelRow(wnid, label, _words(synonyms), _words(parents)) for wnid, label, synonyms, parents in _lines(LABELS_FILE)
    )
    words = {}
    for name, synonyms in _lines(PARENTS_FILE):
        words.update({fold_tag(word): name for word in (*_words(synonyms), name)})
    for row in rows:
        words.update({fold_tag(word): row.label for word in (*row.synonyms, row.label)})
    return LabelTable(rows, words)


def labels_of(manifest: Manifest) -> tuple[str, ...]:
    """The labels of a bundle's distribution, in the order of its outputs; none where it can't tag. Raises BadBundle."""
    if manifest.tags is None:
        return ()
    named = manifest.tags.labels
    if named == IMAGENET:
        return load_labels().labels
    if isinstance(named, tuple):
        return named
    try:
        lines = manifest.beside(named).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadBundle(f"{manifest.name}: the labels {named} can't be read: {exc}; put one label a line there") from exc
    labels = tuple(line.strip() for line in lines)
    if not labels or not all(labels):
        raise BadBundle(f"{manifest.name}: {named} is empty or has an empty line; write one label a line")
    return labels


def _lines(name: str) -> list[list[str]]:
    return [line.split("\t") for line in (MODELS / name).read_text(encoding="utf-8").splitlines()]


def _words(field: str) -> tuple[str, ...]:
    return tuple(field.split("|")) if field else ()
