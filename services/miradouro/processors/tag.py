"""Makes the tags: the user's, the labels of the network, and the labels' parents in WordNet."""

from collections.abc import Iterable
from dataclasses import replace

from pydantic import Field

from miradouro.bundles.labels import LabelTable
from miradouro.core.document import Tag, TagKind
from miradouro.core.embedding import IMAGENET, LabelProbability
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.text import fold_tag
from miradouro.processors.plugin import Context, ProcessorOptions, need

_DECIMALS = 6  # of a probability


class TagOptions(ProcessorOptions):
    """Options of `tag`."""

    min_probability: float = Field(0.01, ge=0.001, le=1, description="Least probability of a label that becomes a tag.")
    max_labels: int = Field(20, ge=0, le=1_000, description="Most labels of one photo; their parents come on top.")
    parents: bool = Field(True, description="Whether the labels' parents in WordNet become tags too.")


class TagPhoto:
    """Fills `tags`."""

    Options = TagOptions

    def __init__(self, options: TagOptions, context: Context) -> None:
        self._options = options
        self._labels = context.labels

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with its tags."""
        embedding = need(photo.embedding, "tag", "label probabilities", "embed")
        if photo.reused is not None:
            return replace(photo, tags=kept_tags(photo.event.tags, photo.reused.tags))
        return replace(photo, tags=tags(photo.event.tags, embedding.labels, self._labels, self._options))


def tags(given: Iterable[str], labels: Iterable[LabelProbability], table: LabelTable, options: TagOptions) -> tuple[Tag, ...]:
    """The tags of a photo: the user's (`given`) with probability 1, then labels, then parents, each by probability.

    `table` has the parents of ImageNet's labels; other labels have none. A parent's probability is the sum over its classes in
    `labels`, at most 1; its steps count from the nearest kept label. Probabilities have six decimals. Tags are unique under
    `fold_tag`: a user's tag takes precedence over a label, a label over a parent.
    """
    classes = sorted(labels, key=lambda one: (-one.probability, one.label))
    kept = [one for one in classes if one.probability >= options.min_probability][: options.max_labels]
    found = _by_a_person(given)
    found += [Tag(one.label, _rounded(one.probability), TagKind.LABEL) for one in kept]
    if options.parents:
        steps: dict[str, int] = {}
        for one in kept:
            for number, parent in enumerate(_parents(one, table), 1):
                steps[parent] = min(number, steps.get(parent, number))
        sums = dict.fromkeys(steps, 0.0)
        for one in classes:
            for parent in _parents(one, table):
                if parent in sums:
                    sums[parent] += one.probability
        parents = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        found += [Tag(label, _rounded(probability), TagKind.PARENT, steps[label]) for label, probability in parents]
    return _each_once(found)


def _rounded(probability: float) -> float:
    """A float32 has no more digits: written out as a float64 it would take twice the bytes."""
    return min(round(probability, _DECIMALS), 1.0)


def _parents(row: LabelProbability, table: LabelTable) -> tuple[str, ...]:
    return table.parents(row.index) if row.table == IMAGENET else ()


def kept_tags(given: Iterable[str], stored: Iterable[Tag]) -> tuple[Tag, ...]:
    """The user's current tags (`given`), then the stored labels and parents. The step `keywords` adds learned tags anew."""
    return _each_once([*_by_a_person(given), *(tag for tag in stored if tag.kind in (TagKind.LABEL, TagKind.PARENT))])


def _by_a_person(given: Iterable[str]) -> list[Tag]:
    return [Tag(word.strip(), 1.0, TagKind.USER) for word in given]


def _each_once(found: Iterable[Tag]) -> tuple[Tag, ...]:
    once: dict[str, Tag] = {}
    for tag in found:
        if key := fold_tag(tag.label):
            once.setdefault(key, tag)
    return tuple(once.values())
