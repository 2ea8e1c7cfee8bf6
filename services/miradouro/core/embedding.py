"""Input and output of an embedder."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from miradouro.core.document import Vectors
from miradouro.core.errors import Unavailable

IMAGENET = "imagenet-1k"  # the label table with synonyms and parents in WordNet
Tensor = npt.NDArray[np.uint8]  # [height, width, 3], RGB


class Priority(StrEnum):
    """Class of a request in the embedder's queue."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True)
class LabelProbability:
    """A class of a tagging bundle: its position in the label table called `table`, and its probability, 0 to 1.

    A bundle's own list is called as the bundle.
    """

    label: str
    probability: float
    index: int
    table: str = IMAGENET


@dataclass(frozen=True)
class Embedding:
    """One photo embedded.

    `vectors`: space name → [vectors_per_photo, dimension]: float32 rows of length 1 from an embedder; those that were stored
    before, in the form that their space stores.
    `provenances`: space name → provenance of these vectors. Another replica of the embedder may make vectors of another one.
    `labels`: classes with a probability of at least 0.001, most probable first; empty unless tags were requested.
    """

    vectors: Mapping[str, Vectors]
    provenances: Mapping[str, str]
    labels: tuple[LabelProbability, ...] = ()


def check_replicas(embedding: Embedding, *, held: Mapping[str, str], described: Mapping[str, str]) -> None:
    """Raises Unavailable when the replicas of the embedding service make vectors of different provenances.

    Provenances are by space name: `held` are those of the collection, `described` those that `describe` returned. A vector with
    the provenance of the collection passes, whichever replica made it. So does a vector with the described provenance: replicas
    cannot cause that mismatch, and a retry cannot fix it. The index refuses such a vector with ProvenanceMismatch.
    """
    for name, made in embedding.provenances.items():
        if made not in (held[name], described.get(name)):
            raise Unavailable(
                f"space {name}: replicas of the embedding service differ: one reports provenance {described.get(name, 'none')}, "
                f"another made vectors of {made or 'none'}; give all the same release, MIRADOURO_BUNDLES and MIRADOURO_PRECISION"
            )
