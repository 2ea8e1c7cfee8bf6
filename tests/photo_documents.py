"""Documents made for tests: small spaces of either storage, seeded vectors, and every other field as given by the test."""

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from miradouro.core.codes import stored_form
from miradouro.core.document import Document, Float32, Tag, TagKind, Vectors
from miradouro.core.spaces import Preset, Region, Space, Storage

COLLECTION = "photos"
BOXES = tuple(Region(i / 14, 0.0, 1 / 14, 1.0) for i in range(14))
WHOLE = Space("small", "features", "", 32, "0" * 64, preset=Preset.STANDARD, is_default_pooling=True)
POOLED = Space("small", "pool1", "avg", 8, "1" * 64, Preset.STANDARD, True, storage=Storage.INT8, clip=0.7)
PARTS = Space("small", "pool5", "regions", 16, "2" * 64, Preset.STANDARD, False, BOXES, Storage.INT8, clip=0.55)
SPACES = (WHOLE, POOLED, PARTS)


def unit(seed: object, rows: int, dimension: int) -> Float32:
    """float32 [rows, dimension], rows of length 1; the same for the same seed."""
    drawn = np.random.default_rng(zlib.crc32(repr(seed).encode())).standard_normal((rows, dimension))
    normalized: Float32 = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return normalized


def vectors_of(seed: object, spaces: tuple[Space, ...] = SPACES) -> dict[str, Vectors]:
    """Vectors of one photo in every space, as it stores them."""
    drawn = {space: unit((seed, space.name), space.vectors_per_photo, space.dimension) for space in spaces}
    return {space.name: stored_form(vectors, space) for space, vectors in drawn.items()}


def asked(seed: object, space: Space) -> Vectors:
    """A vector to search with: [dimension], as the space stores it."""
    [vector] = stored_form(unit(("asked", seed), 1, space.dimension), space)
    return vector


def distances(rows: Vectors, vector: Vectors) -> npt.NDArray[np.float64]:
    """Between the directions of rows [n, dimension] and a vector [dimension], float64 [n]: the plain formula."""
    both = [np.atleast_2d(one).astype(np.float64) for one in (rows, vector)]
    if rows.dtype == np.int8:
        both = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in both]
    found: npt.NDArray[np.float64] = np.linalg.norm(both[0] - both[1], axis=1)
    return found


def photo(photo_id: str, version: int = 1, *, spaces: tuple[Space, ...] = SPACES, **fields: Any) -> Document:
    """A photo with vectors made from its id and version unless given, and only such fields as are given."""
    fields.setdefault("vectors", vectors_of((photo_id, version), spaces))
    fields.setdefault("provenances", {space.name: space.provenance for space in spaces})
    fields.setdefault("collection", COLLECTION)
    return Document(photo_id=photo_id, version=version, **fields)


def tombstone(photo_id: str, version: int, *, collection: str = COLLECTION) -> Document:
    return Document(collection, photo_id, version, deleted=True)


def label(name: str, probability: float) -> Tag:
    return Tag(name, probability, TagKind.LABEL)


def parent(name: str, probability: float) -> Tag:
    return Tag(name, probability, TagKind.PARENT)


def user_tag(name: str) -> Tag:
    return Tag(name, 1.0, TagKind.USER)


def learned(name: str, probability: float) -> Tag:
    return Tag(name, probability, TagKind.LEARNED)
