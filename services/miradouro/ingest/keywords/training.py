"""Trains the layers of learned keywords with scikit-learn, and measures them by cross-validation."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.keyword_graph import Layers
from miradouro.core.document import Float32
from miradouro.core.errors import ConfigurationError
from miradouro.core.keywords import MIN_PHOTOS, SCORE_DIGITS, Keyword
from miradouro.ingest.keywords.samples import Samples

FOLDS = MIN_PHOTOS
_SEED = 0
_MAX_STEPS = 2_000
# Vectors have length 1, so logits need large weights. From 40 classes of objects: .942, .946, .933 of the other photos are right
# with 10, 100, 1,000.
_PERCEPTRON_C = 100.0  # inverse of the penalty on weights
_HIDDEN_ALPHA = 1e-3  # penalty on weights
Float64 = npt.NDArray[np.float64]


def train(samples: Samples, *, hidden: int) -> Layers:
    """The layers that map vectors to logits: one, or two around `hidden` units with ReLU.

    The loss is the cross-entropy between the softmax of the logits and the keywords of a photo, which share its weight equally.
    Raises ConfigurationError without scikit-learn.
    """
    return _layers(_fitted(samples, range(len(samples.owned)), hidden=hidden), len(samples.labels))


def cross_validated(samples: Samples, *, hidden: int, check_cancelled: Callable[[], None]) -> Float64:
    """Probabilities of the keywords, float64 [n, keywords], each photo by a network that did not learn from it."""
    folds = stratified_folds(samples.owned, samples.counts)
    probabilities = np.zeros((len(samples.owned), len(samples.labels)))
    for fold in range(FOLDS):
        check_cancelled()
        model = _fitted(samples, np.flatnonzero(folds != fold), hidden=hidden)
        held = np.flatnonzero(folds == fold)
        probabilities[np.ix_(held, model.classes_)] = model.predict_proba(samples.vectors[held])
    return probabilities


def stratified_folds(owned: Sequence[Sequence[int]], counts: Sequence[int]) -> npt.NDArray[np.int64]:
    """The fold of each photo, 0 to FOLDS - 1, int64 [n]: photos with the same rarest keyword are dealt out evenly.

    Not sklearn's StratifiedKFold: it knows no photos with several keywords.
    """
    rarest = [min(numbers, key=lambda number: (counts[number], number)) for numbers in owned]
    shuffled = np.random.default_rng(_SEED).permutation(len(owned))
    folds = np.empty(len(owned), np.int64)
    folds[np.lexsort((shuffled, np.array(rarest)))] = np.arange(len(owned)) % FOLDS
    return folds


def measured(samples: Samples, probabilities: Float64, *, precision: float) -> list[Keyword]:
    """Each keyword with the least threshold whose precision is at least `precision`."""
    from sklearn.metrics import precision_recall_curve

    truth = _truth(samples)
    keywords = []
    for number, label in enumerate(samples.labels):
        precisions, recalls, thresholds = precision_recall_curve(truth[:, number], probabilities[:, number])
        precisions, recalls = precisions[:-1], recalls[:-1]  # the last ones belong to no threshold
        reached = np.flatnonzero(precisions >= precision)
        best = int(reached[0]) if len(reached) else int(np.argmax(precisions))
        threshold = math.floor(thresholds[best] * 10**SCORE_DIGITS) / 10**SCORE_DIGITS if len(reached) else None
        keywords.append(Keyword(label, int(truth[:, number].sum()), float(precisions[best]), float(recalls[best]), threshold))
    return keywords


def top1(samples: Samples, probabilities: npt.NDArray[Any]) -> float:
    """The fraction of photos whose most probable keyword is one of theirs."""
    truth = _truth(samples)
    return float(truth[np.arange(len(truth)), probabilities.argmax(axis=1)].mean())


def _truth(samples: Samples) -> npt.NDArray[np.bool_]:
    truth = np.zeros((len(samples.owned), len(samples.labels)), np.bool_)
    for i, numbers in enumerate(samples.owned):
        truth[i, list(numbers)] = True
    return truth


def _fitted(samples: Samples, photos: Sequence[int] | npt.NDArray[np.int64], *, hidden: int) -> Any:
    """A classifier that learned from these photos; a photo with several keywords counts as several photos of less weight."""
    rows = [(i, number, 1 / len(samples.owned[i])) for i in photos for number in samples.owned[i]]
    at, numbers, weights = (np.array(column) for column in zip(*rows, strict=True))
    model = _classifier(hidden)
    model.fit(samples.vectors[at], numbers, sample_weight=weights)
    return model


def _classifier(hidden: int) -> Any:
    try:
        from sklearn.linear_model import LogisticRegression  # here: an extra, and slow to import
        from sklearn.neural_network import MLPClassifier
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            "learning keywords needs the extra 'keywords', which is not installed: pip install 'miradouro[keywords]'"
        ) from exc
    if not hidden:
        return LogisticRegression(C=_PERCEPTRON_C, max_iter=_MAX_STEPS)
    return MLPClassifier((hidden,), alpha=_HIDDEN_ALPHA, max_iter=_MAX_STEPS, learning_rate_init=0.01, random_state=_SEED)


def _layers(model: Any, keywords: int) -> list[tuple[Float32, Float32]]:
    if hasattr(model, "coefs_"):
        layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    else:
        layers = [(model.coef_.T, model.intercept_)]
    weights, bias = layers[-1]
    if keywords == 2:  # one logit, that of the second class against the first
        weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
        bias = np.concatenate([np.zeros_like(bias), bias])
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in [*layers[:-1], (weights, bias)]]
