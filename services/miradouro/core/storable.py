"""Checks that every index makes before it stores documents or makes a collection."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from miradouro.core.document import Document
from miradouro.core.error_text import shown
from miradouro.core.errors import FailedPrecondition, InvalidArgument, ProvenanceMismatch, TooManyCollections
from miradouro.core.spaces import Space, Storage

UNIT_TOLERANCE = 1e-2


def check_storable(document: Document, spaces: Mapping[str, Space]) -> None:
    """Raises InvalidArgument for vectors of another shape, of no space or not comparable, and ProvenanceMismatch.

    `spaces` are those of the document's collection by name. A tombstone is not checked.
    """
    if document.deleted:
        return
    for name, vectors in document.vectors.items():
        if name not in spaces:
            allowed = ", ".join(spaces) or "none"
            raise InvalidArgument("vectors", f"{shown(name)} is no space of {document.collection!r}; allowed: {allowed}")
        space = spaces[name]
        offered = document.provenances.get(name, "")
        if not offered:
            raise InvalidArgument("provenances", f"{name} has vectors and no provenance; pass on that of the embedder")
        if offered != space.provenance:
            raise ProvenanceMismatch(name, space.provenance, offered)
        check_vectors(vectors, (space.vectors_per_photo, space.dimension), space.storage, field=f"vectors[{name}]")


def check_vectors(vectors: npt.ArrayLike, shape: tuple[int, int], storage: Storage, *, field: str) -> None:
    """Raises InvalidArgument unless the vectors are of `shape` [n, dimension] in the form of `storage`: see core.codes."""
    if storage is Storage.INT8:
        _check_codes(vectors, shape, field=field)
    else:
        check_floats(vectors, shape, field=field)


def _check_codes(vectors: npt.ArrayLike, shape: tuple[int, int], *, field: str) -> None:
    array = np.asarray(vectors)
    if array.shape != shape or array.dtype != np.int8:
        raise InvalidArgument(field, f"{array.dtype} {list(array.shape)} is not int8 {list(shape)}; the space stores int8 codes")
    if (array == np.iinfo(np.int8).min).any():
        raise InvalidArgument(field, "a code is -128; allowed: -127 to 127")
    if not array.any(axis=1).all():
        raise InvalidArgument(field, "all codes of a vector are 0: it has no direction")


def check_floats(vectors: npt.ArrayLike, shape: tuple[int, int], *, field: str) -> None:
    """Raises InvalidArgument unless the vectors are floats of `shape` [n, dimension], finite, and of length 1."""
    array = np.asarray(vectors)
    if array.shape != shape or array.dtype.kind != "f":
        raise InvalidArgument(field, f"{array.dtype} {list(array.shape)} is not float32 {list(shape)}")
    lengths = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
    if not np.isfinite(lengths).all():
        raise InvalidArgument(field, "a vector holds NaN or infinity; allowed: finite numbers")
    wrong = np.abs(lengths - 1) > UNIT_TOLERANCE
    if wrong.any():
        raise InvalidArgument(field, f"a vector has length {lengths[wrong][0]:.4f}; allowed: 1, within {UNIT_TOLERANCE}")


def check_same_spaces(collection: str, stored: Sequence[Space], offered: Sequence[Space]) -> None:
    """Raises FailedPrecondition or ProvenanceMismatch unless the stored spaces equal the offered ones, in any order."""
    by_name = {space.name: space for space in offered}
    missing = [space.name for space in stored if space.name not in by_name]
    added = sorted(by_name.keys() - {space.name for space in stored})
    if missing or added:
        raise FailedPrecondition(
            f"collection {collection!r} was made with other spaces: without {', '.join(added) or 'none of yours'}, "
            f"and with {', '.join(missing) or 'no more'}; offer the same ones, or index into a new one with --collection"
        )
    for space in stored:
        other = by_name[space.name]
        if (space.storage, space.clip) != (other.storage, other.clip):
            raise FailedPrecondition(
                f"space {space.name} of collection {collection!r} stores {_stored_as(space)}, the embedder offers "
                f"{_stored_as(other)}; index into a new one with --collection"
            )
        if space.provenance != other.provenance:
            raise ProvenanceMismatch(space.name, space.provenance, other.provenance)
        if (space.dimension, space.regions) != (other.dimension, other.regions):
            raise FailedPrecondition(
                f"space {space.name} of collection {collection!r} has {space.vectors_per_photo} x {space.dimension}, "
                f"the embedder offers {other.vectors_per_photo} x {other.dimension}; index into a new one with --collection"
            )


def _stored_as(space: Space) -> str:
    return f"int8 codes with clip {space.clip:g}" if space.storage is Storage.INT8 else space.storage.value


def more_than(at_most: int, collection: str) -> TooManyCollections:
    """The error for a new collection when there are `at_most` others."""
    return TooManyCollections(
        collection,
        f"there are {at_most} already; use one of them, or name all that there may be in MIRADOURO_COLLECTIONS",
    )


def other_root(collection: str, stored: str, offered: str) -> FailedPrecondition:
    """The error for a folder `offered` to a collection with another root; `stored` is empty when it is fed by events."""
    if not stored:
        return FailedPrecondition(
            f"collection {collection!r} is fed by events, or was restored without --root, and does not mirror {offered}; "
            "index the folder into a collection of its own with --collection"
        )
    if PurePath(stored) in PurePath(offered).parents:
        relation = f"{offered} lies below it"
    elif PurePath(offered) in PurePath(stored).parents:
        relation = f"{offered} lies above it"
    else:
        relation = f"{offered} is another folder"
    return FailedPrecondition(
        f"collection {collection!r} mirrors {stored}: {relation}; index {stored} again, "
        f"or index {offered} into a collection of its own with --collection"
    )
