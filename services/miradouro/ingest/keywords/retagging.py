"""Gives stored photos the learned tags of a collection, from their stored vectors: no network runs."""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from miradouro.core.document import Float32, Tag
from miradouro.core.keywords import KeywordHead, with_learned
from miradouro.core.ports import PhotoIndex, TagChange, TaggedPhoto

_BATCH = 500  # photos of one write


def retag(
    index: PhotoIndex, collection: str, head: KeywordHead | None, *, check_cancelled: Callable[[], None]
) -> Iterator[tuple[int, int]]:
    """Replaces the learned tags of every photo by those of `head`, or removes them for None.

    Yields the numbers of read and of changed photos after each batch. Photos that have these tags already are not written: a run
    after an interruption writes the rest. Raises what the index raises.
    """
    spaces = [space.name for space in index.spaces(collection)]
    if not spaces:
        return
    photos = index.tagged(collection, head.space if head is not None else spaces[0])
    read = changed = 0
    while batch := list(islice(photos, _BATCH)):
        check_cancelled()
        learned = _learned(batch, head)
        changes = [
            TagChange(photo.photo_id, photo.version, tags)
            for photo, own in zip(batch, learned, strict=True)
            if (tags := with_learned(photo.tags, own)) != photo.tags
        ]
        if changes:
            changed += index.replace_tags(collection, changes)
        read += len(batch)
        yield read, changed


def _learned(photos: list[TaggedPhoto], head: KeywordHead | None) -> list[tuple[Tag, ...]]:
    """The learned tags of each photo; none for one without a vector."""
    found: list[tuple[Tag, ...]] = [()] * len(photos)
    vectors: list[tuple[int, Float32]] = [(i, photo.vector) for i, photo in enumerate(photos) if photo.vector is not None]
    if head is None or not vectors:
        return found
    probabilities = head.probabilities(np.stack([vector for _, vector in vectors]))
    for (i, _), row in zip(vectors, probabilities, strict=True):
        found[i] = head.tags(row)
    return found
