"""Reads the photos to learn keywords from, or to test them on: those with tags that people gave."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from miradouro.core.document import Float32, TagKind
from miradouro.core.error_text import shown
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.keywords import MAX_KEYWORDS, MIN_PHOTOS
from miradouro.core.ports import PhotoIndex
from miradouro.core.spaces import Space
from miradouro.core.text import fold_tag

MAX_VECTOR_BYTES = 1 << 30  # of the photos that people tagged; learning holds them in memory


@dataclass(frozen=True)
class Samples:
    """Photos with their keywords.

    `vectors` is float32 [n, dimension]; `owned` holds the numbers of the keywords of each photo, at least one. `labels` are the
    keywords, `left_out` the tags with fewer than MIN_PHOTOS photos, both sorted. `without_vectors` counts the photos that have
    such tags and no vectors in the space.
    """

    vectors: Float32
    owned: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    without_vectors: int

    @property
    def counts(self) -> list[int]:
        """The number of photos of each keyword."""
        counted = Counter(number for numbers in self.owned for number in numbers)
        return [counted[number] for number in range(len(self.labels))]


def read_samples(
    index: PhotoIndex,
    collection: str,
    space: Space,
    *,
    only: Collection[str] = (),
    check_cancelled: Callable[[], None] = lambda: None,
) -> Samples:
    """The photos to learn from; with `only`, other tags do not count. Tags are compared folded, and named as most photos do.

    Raises InvalidArgument (`only` names a tag that nobody gave, too many keywords) and FailedPrecondition (fewer than two
    keywords, too many photos).
    """
    wanted = {fold_tag(word) for word in only}
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    vectors: list[Float32] = []
    given: list[frozenset[str]] = []
    without_vectors = 0
    for photo in index.tagged(collection, space.name):
        check_cancelled()
        words = {fold_tag(tag.label): tag.label for tag in photo.tags if tag.kind is TagKind.USER}
        words = {word: label for word, label in words.items() if word and (not wanted or word in wanted)}
        if not words:
            continue
        if photo.vector is None:
            without_vectors += 1
            continue
        if len(vectors) * photo.vector.nbytes > MAX_VECTOR_BYTES:
            raise FailedPrecondition(
                f"people tagged more than {len(vectors):,} photos of collection {collection!r}: their vectors of {space.name} "
                f"take more than {MAX_VECTOR_BYTES >> 20:,} MiB; name some of the keywords with --only, or a smaller space"
            )
        vectors.append(photo.vector)
        given.append(frozenset(words))
        for word, label in words.items():
            spellings[word][label] += 1
    if never := sorted(wanted - spellings.keys()):
        where = f"with vectors of {space.name} " if without_vectors else ""
        raise InvalidArgument("only", f"no photo {where}has the tag {shown(never[0])}; name tags that people gave")
    return _samples(vectors, given, spellings, without_vectors, collection, space)


def _samples(
    vectors: Sequence[Float32],
    given: Sequence[frozenset[str]],
    spellings: defaultdict[str, Counter[str]],
    without_vectors: int,
    collection: str,
    space: Space,
) -> Samples:
    names = {word: min(counts.items(), key=lambda item: (-item[1], item[0]))[0] for word, counts in spellings.items()}
    kept = sorted(word for word, counts in spellings.items() if counts.total() >= MIN_PHOTOS)
    left_out = sorted(names[word] for word in names.keys() - set(kept))
    _check_keywords([names[word] for word in kept], len(left_out), without_vectors, collection, space)
    numbers = {word: number for number, word in enumerate(kept)}
    rows = [i for i, words in enumerate(given) if not words.isdisjoint(numbers)]
    return Samples(
        vectors=np.stack([vectors[i] for i in rows]),
        owned=tuple(tuple(sorted(numbers[word] for word in given[i] if word in numbers)) for i in rows),
        labels=tuple(names[word] for word in kept),
        left_out=tuple(left_out),
        without_vectors=without_vectors,
    )


def _check_keywords(kept: Sequence[str], left_out: int, without_vectors: int, collection: str, space: Space) -> None:
    if len(kept) > MAX_KEYWORDS:
        raise InvalidArgument(
            "only",
            f"{len(kept):,} keywords of collection {collection!r} have {MIN_PHOTOS} photos or more; allowed: 2 to "
            f"{MAX_KEYWORDS:,}; name those to learn with --only",
        )
    if len(kept) >= 2:
        return
    found = f"only {shown(kept[0])} has {MIN_PHOTOS} photos or more" if kept else f"no keyword has {MIN_PHOTOS} photos or more"
    rare = f", {left_out:,} have fewer" if left_out else ""
    bare = f"; {without_vectors:,} tagged photos have no vectors of {space.name}" if without_vectors else ""
    advice = "index these photos again, or name another space" if without_vectors else "tag more photos, with several keywords"
    raise FailedPrecondition(
        f"collection {collection!r}: learning needs two keywords that people gave to {MIN_PHOTOS} photos or more each, and "
        f"{found}{rare}{bare}; {advice}"
    )
