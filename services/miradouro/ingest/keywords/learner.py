"""The four things that can be done with learned keywords: learn, list, test, remove."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from miradouro.bundles.keyword_heads import KeywordHeads
from miradouro.core.document import TagKind
from miradouro.core.errors import FailedPrecondition, InvalidArgument, NotFound
from miradouro.core.keywords import Keyword, KeywordHead
from miradouro.core.ports import PhotoIndex
from miradouro.core.spaces import resolve_space
from miradouro.core.text import fold_tag
from miradouro.ingest.keywords.retagging import retag

MAX_HIDDEN = 4_096
DEFAULT_PRECISION = 0.8


@dataclass(frozen=True)
class KeywordProgress:
    """Photos of the collection that have been looked at, and those of them whose tags changed."""

    done: int
    changed: int


@dataclass(frozen=True)
class KeywordReport:
    """The result of learning, of a test, or of a removal.

    `keywords` and `top1` are measured on `photos` photos. `left_out` are tags with too few photos, `without_vectors` counts
    tagged photos without vectors, `changed` those whose tags changed. `head` is None after a removal.
    """

    head: KeywordHead | None
    keywords: tuple[Keyword, ...] = ()
    photos: int = 0
    top1: float = 0.0
    left_out: tuple[str, ...] = ()
    without_vectors: int = 0
    changed: int = 0


class KeywordLearner:
    """Learns keywords of the collections of `index`, and keeps them in `heads`. One call changes them at a time."""

    def __init__(self, *, index: PhotoIndex, heads: KeywordHeads) -> None:
        self._index, self._heads = index, heads
        self._changing = threading.Lock()

    def all(self) -> Sequence[KeywordHead]:
        """The learned keywords of every collection, by its name. Raises Corrupt, Unavailable."""
        return self._heads.all()

    def learn(
        self,
        collection: str,
        *,
        space: str,
        hidden: int = 0,
        precision: float = DEFAULT_PRECISION,
        only: Sequence[str] = (),
        check_cancelled: Callable[[], None] = lambda: None,
    ) -> Iterator[KeywordProgress | KeywordReport]:
        """Learns keywords from the tags that people gave, stores them, and tags every photo; the report is the last item.

        The keywords are stored before the first photo is tagged. After an interruption the same call learns the same keywords and
        tags the rest. Raises NotFound (collection), InvalidArgument (an option), FailedPrecondition (nothing to learn from),
        ConfigurationError (no scikit-learn), and what the index raises.
        """
        if not 0 <= hidden <= MAX_HIDDEN:
            raise InvalidArgument("hidden", f"{hidden:,}; allowed: 0, for a perceptron, to {MAX_HIDDEN:,} hidden units")
        if not 0 < precision <= 1:
            raise InvalidArgument("precision", f"{precision:g}; allowed: above 0, up to 1")
        found = resolve_space(space, self._index.spaces(collection))
        # Here: they need ONNX and scikit-learn.
        from miradouro.bundles.keyword_graph import HeadFacts
        from miradouro.ingest.keywords.samples import read_samples
        from miradouro.ingest.keywords.training import cross_validated, measured, top1, train

        with self._alone():
            samples = read_samples(self._index, collection, found, only=only, check_cancelled=check_cancelled)
            probabilities = cross_validated(samples, hidden=hidden, check_cancelled=check_cancelled)
            facts = HeadFacts(
                collection=collection,
                space=found.name,
                space_provenance=found.provenance,
                hidden=hidden,
                wanted_precision=precision,
                photos=len(samples.owned),
                top1=top1(samples, probabilities),
                keywords=tuple(measured(samples, probabilities, precision=precision)),
            )
            layers = train(samples, hidden=hidden)
            check_cancelled()
            head = self._heads.save(facts, layers)
            report = KeywordReport(
                head,
                head.keywords,
                photos=head.photos,
                top1=head.top1,
                left_out=samples.left_out,
                without_vectors=samples.without_vectors,
            )
            yield from self._tag(collection, head, report, check_cancelled)

    def test(self, collection: str, *, on: str = "", check_cancelled: Callable[[], None] = lambda: None) -> KeywordReport:
        """Measures the keywords of a collection on the photos of collection `on` that people gave some of them; itself when "".

        Raises NotFound (collection, keywords), FailedPrecondition (no such photo, other vectors), and what the index raises.
        """
        head, on = self._head(collection), on or collection
        head.check_provenance(resolve_space(head.space, self._index.spaces(on)).provenance)
        numbers = {fold_tag(keyword.label): number for number, keyword in enumerate(head.keywords)}
        vectors, truth, without_vectors = [], [], 0
        for photo in self._index.tagged(on, head.space):
            check_cancelled()
            given = {fold_tag(tag.label) for tag in photo.tags if tag.kind is TagKind.USER}
            owned = [numbers[word] for word in given if word in numbers]
            if owned and photo.vector is None:
                without_vectors += 1
            elif owned and photo.vector is not None:
                vectors.append(head.probabilities(photo.vector[np.newaxis])[0])
                truth.append(np.isin(np.arange(len(head.keywords)), owned))
        if not vectors:
            bare = f"; {without_vectors:,} have no vectors of {head.space}" if without_vectors else ""
            raise FailedPrecondition(
                f"no photo of collection {on!r} has one of the keywords from a person{bare}; name another collection with --on"
            )
        return _tested(head, np.stack(vectors), np.stack(truth), without_vectors)

    def remove(
        self, collection: str, *, check_cancelled: Callable[[], None] = lambda: None
    ) -> Iterator[KeywordProgress | KeywordReport]:
        """Removes the keywords of a collection, then its learned tags; the report is the last item.

        After an interruption the same call removes the remaining tags. Raises NotFound (collection), and what the index raises.
        """
        self._index.spaces(collection)
        with self._alone():
            self._heads.remove(collection)
            yield from self._tag(collection, None, KeywordReport(None), check_cancelled)

    def _tag(
        self, collection: str, head: KeywordHead | None, report: KeywordReport, check_cancelled: Callable[[], None]
    ) -> Iterator[KeywordProgress | KeywordReport]:
        changed = 0
        for done, changed in retag(self._index, collection, head, check_cancelled=check_cancelled):
            yield KeywordProgress(done, changed)
        yield replace(report, changed=changed)

    def _head(self, collection: str) -> KeywordHead:
        head = self._heads.find(collection)
        if head is None:
            raise NotFound(f"collection {collection!r} has no learned keywords; learn some with `miradouro keywords learn`")
        return head

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._changing.acquire(blocking=False):
            raise FailedPrecondition("keywords are being learned or removed already; try again when that has ended")
        try:
            yield
        finally:
            self._changing.release()


def _tested(head: KeywordHead, probabilities: "np.ndarray", truth: "np.ndarray", without_vectors: int) -> KeywordReport:
    """The report for probabilities float32 [n, keywords] and truth bool [n, keywords]."""
    keywords = []
    for number, keyword in enumerate(head.keywords):
        owners = truth[:, number]
        tagged = np.array([any(tag.label == keyword.label for tag in head.tags(row)) for row in probabilities])
        right = int((tagged & owners).sum())
        keywords.append(
            replace(
                keyword,
                photos=int(owners.sum()),
                precision=right / tagged.sum() if tagged.any() else 0.0,
                recall=right / owners.sum() if owners.any() else 0.0,
            )
        )
    top1 = float(truth[np.arange(len(truth)), probabilities.argmax(axis=1)].mean())
    return KeywordReport(head, tuple(keywords), photos=len(truth), top1=top1, without_vectors=without_vectors)
