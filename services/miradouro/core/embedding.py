"""What an embedder takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from miradouro.core.document import Float32

Tensor = npt.NDArray[np.uint8]  # [height, width, 3], RGB


class Priority(StrEnum):
    """Class of a request in the embedder's queue."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True)
class LabelProbability:
    """A class of a tagging bundle: its position in the label table and its probability, 0 to 1."""

    label: str
    probability: float
    index: int


@dataclass(frozen=True)
class Embedding:
    """One photo embedded.

    `vectors`: space name → float32 [vectors_per_photo, dimension], rows of length 1.
    `labels`: classes with a probability of at least 0.001, most probable first; empty unless tags were asked for.
    """

    vectors: Mapping[str, Float32]
    labels: tuple[LabelProbability, ...] = ()
