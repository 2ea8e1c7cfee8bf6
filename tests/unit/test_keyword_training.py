"""Training of learned keywords, their thresholds, and the file that holds them."""

import numpy as np
import pytest
from miradouro.bundles.keyword_graph import HeadFacts
from miradouro.bundles.keyword_heads import KeywordHeads
from miradouro.core.document import Tag, TagKind
from miradouro.core.keywords import KeywordHead, with_learned
from miradouro.ingest.keywords.samples import Samples
from miradouro.ingest.keywords.training import FOLDS, cross_validated, measured, stratified_folds, top1, train


def xor(each: int = 12) -> Samples:
    """Four corners of a square: opposite ones share a keyword."""
    random = np.random.default_rng(0)
    corners = [(-1, -1, 0), (1, 1, 0), (-1, 1, 1), (1, -1, 1)]
    rows = [(*(random.normal((x, y), 0.1)), 0.5, keyword) for x, y, keyword in corners for _ in range(each)]
    vectors = np.array(rows, np.float32)[:, :3]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Samples(vectors, tuple((int(row[3]),) for row in rows), ("same", "other"), (), 0)


def facts(samples: Samples, **fields: object) -> HeadFacts:
    known = {"collection": "photos", "space": "a/b", "space_provenance": "0" * 64, "hidden": 0, "wanted_precision": 0.8}
    return HeadFacts(**{**known, "photos": len(samples.owned), "top1": 1.0, "keywords": (), **fields})


@pytest.fixture
def heads(tmp_path) -> KeywordHeads:
    return KeywordHeads(tmp_path / "keywords")


def right(head: KeywordHead, samples: Samples) -> float:
    return top1(samples, head.probabilities(samples.vectors))


def test_hidden_units_learn_what_a_perceptron_cannot(heads: KeywordHeads) -> None:
    samples = xor()
    assert right(heads.save(facts(samples), train(samples, hidden=0)), samples) < 0.8
    assert right(heads.save(facts(samples), train(samples, hidden=16)), samples) == 1
    found = heads.find("photos")
    assert found is not None
    assert right(found, samples) == 1, "the file holds the layers learned last"
    np.testing.assert_allclose(found.probabilities(samples.vectors).sum(axis=1), 1, atol=1e-5)


def test_every_fold_holds_a_photo_of_each_keyword() -> None:
    owned = [(0,)] * 5 + [(1,)] * 7 + [(0, 2)] * 5 + [(1, 2, 3)] * 6
    folds = stratified_folds(owned, [10, 13, 11, 6])
    for keyword in range(4):
        assert {int(fold) for fold, numbers in zip(folds, owned, strict=True) if keyword in numbers} == set(range(FOLDS))


def test_the_threshold_is_the_least_with_that_precision() -> None:
    samples = Samples(np.eye(6, dtype=np.float32), ((0,), (0,), (1,), (0,), (1,), (1,)), ("a", "b"), (), 0)
    of_a = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.1])
    probabilities = np.stack([of_a, 1 - of_a], axis=1)
    [a, b] = measured(samples, probabilities, precision=0.75)
    assert (a.threshold, a.precision, a.recall) == (0.6, 0.75, 1.0)
    assert (b.photos, b.threshold, b.recall) == (3, 0.3, 1.0)
    [a, _] = measured(samples, np.stack([1 - of_a, of_a], axis=1), precision=0.75)
    assert (a.threshold, a.precision) == (None, 0.5)


def test_photos_with_several_keywords_teach_each_of_them() -> None:
    random = np.random.default_rng(1)
    centres = np.eye(4)
    owned = [(0,), (1,), (2,), (2, 3)] * 8
    vectors = np.stack([random.normal(centres[numbers[-1]], 0.05) for numbers in owned]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    samples = Samples(vectors, tuple(owned), ("a", "b", "c", "d"), (), 0)
    probabilities = cross_validated(samples, hidden=0, check_cancelled=lambda: None)
    assert top1(samples, probabilities) == 1
    both = probabilities[[numbers == (2, 3) for numbers in owned]].mean(axis=0)
    assert both[2] == pytest.approx(both[3], abs=0.15)
    assert both[2] + both[3] > 0.9


def test_a_persons_tag_is_never_repeated() -> None:
    given, label = Tag("Réx", 1.0, TagKind.USER), Tag("dog", 0.5, TagKind.LABEL)
    former, now = Tag("mia", 0.9, TagKind.LEARNED), Tag("dog", 0.75, TagKind.LEARNED)
    assert with_learned((label, former, given), (Tag("REX", 0.8, TagKind.LEARNED), now)) == (given, now, label)
