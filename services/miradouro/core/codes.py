"""The two forms of a vector: float32 of length 1, as an embedder makes it, and the form that its space stores.

A space of int8 stores codes, round(127 x / clip), limited to -127 to 127. They stand for a direction: two of them are compared by
their cosine, so that the limit, which shortens a vector, changes no distance. Only this module turns one form into the other.
"""

import numpy as np

from miradouro.core.document import Float32, Int8, Vectors
from miradouro.core.spaces import Space, Storage
from miradouro.core.storable import check_floats

_LARGEST = 127


def stored_form(vectors: Vectors, space: Space) -> Vectors:
    """Vectors [n, dimension] as `space` stores them: int8 codes, or the floats themselves. Codes are returned as they are.

    Raises InvalidArgument for floats that are not finite, of length 1 and of the dimension: codes would hide that.
    """
    if space.storage is not Storage.INT8 or vectors.dtype == np.int8:
        return vectors
    check_floats(vectors, (len(vectors), space.dimension), field=f"vectors[{space.name}]")
    scaled = np.rint(np.asarray(vectors, np.float32) * np.float32(_LARGEST / space.clip))
    codes: Int8 = np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int8)
    return codes


def unit_vectors(stored: Vectors, space: Space) -> Float32:
    """The stored vectors [n, dimension] as float32, codes with length 1.

    Their codes may differ from the stored ones, because they are longer than what the codes were made from: search with these.
    """
    if space.storage is not Storage.INT8:
        return np.asarray(stored, np.float32)
    wide = stored.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / lengths, np.float32)
