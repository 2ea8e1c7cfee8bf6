"""Resolves an embedding request and checks it against the loaded bundles, before any network runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miradouro.core.embedding import Tensor
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument, Unavailable
from miradouro.core.provenance import DECODE_RECIPE
from miradouro.core.spaces import BundleDescription, Geometry, Space, resolve_space, tagger_of

MAX_PHOTOS = 64


@dataclass(frozen=True)
class ResolvedRequest:
    """A resolved request: the spaces in the order of the request, the bundle that tags ("" for none), all that must run."""

    spaces: tuple[Space, ...]
    tagger: str
    bundles: tuple[BundleDescription, ...]

    def spaces_of(self, bundle: str) -> tuple[str, ...]:
        """Names of the requested spaces of a bundle."""
        return tuple(space.name for space in self.spaces if space.bundle == bundle)

    def geometries_of(self, bundle: BundleDescription) -> tuple[Geometry, ...]:
        """The geometries that the requested outputs of a bundle need."""
        return bundle.needed_geometries(self.spaces_of(bundle.name), tags=bundle.name == self.tagger)

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """The distinct geometries that every photo of the request needs."""
        return tuple(dict.fromkeys(geometry for bundle in self.bundles for geometry in self.geometries_of(bundle)))


def resolve(spaces: Sequence[str], *, tags: bool, loaded: Sequence[BundleDescription]) -> ResolvedRequest:
    """Resolves the names of spaces. Raises InvalidArgument: a space is unknown or named twice, or nothing is requested."""
    known = [space for bundle in loaded for space in bundle.spaces]
    resolved: list[Space] = []
    for position, name in enumerate(spaces):
        space = resolve_space(name, known, field=f"spaces[{position}]")
        if space in resolved:
            raise InvalidArgument(
                f"spaces[{position}]",
                f"{shown(name)} is asked for twice, as spaces[{resolved.index(space)}] too; name each space once",
            )
        resolved.append(space)
    tagger = tagger_of(loaded, [space.name for space in resolved]) if tags else ""
    if tags and not tagger:
        raise InvalidArgument("tags", "no loaded bundle can tag; leave tags out or load one that can, such as efficientnet-lite0")
    if not resolved and not tags:
        raise InvalidArgument(
            "spaces", f"nothing is asked for; name a space ({', '.join(s.name for s in known)}) or ask for tags"
        )
    needed = {space.bundle for space in resolved} | {tagger}
    return ResolvedRequest(tuple(resolved), tagger, tuple(bundle for bundle in loaded if bundle.name in needed))


def check_count(photos: int) -> None:
    """Raises InvalidArgument unless a request of that many photos is allowed."""
    if not 1 <= photos <= MAX_PHOTOS:
        raise InvalidArgument("photos", f"{photos} photos in the request; allowed: 1 to {MAX_PHOTOS}")


def check_decode_recipe(version: int, *, field: str) -> None:
    """Raises Unavailable for tensors of another decode recipe, as during an update of the caller or of this replica."""
    if version not in (0, DECODE_RECIPE):
        raise Unavailable(
            f"{field}: decoded by version {version} of the decode recipe, this embedding service has {DECODE_RECIPE}; "
            "update the older of the two"
        )


def check_tensors(
    photos: Sequence[Mapping[Geometry, Tensor]], resolved: ResolvedRequest, *, loaded: Sequence[BundleDescription], first: int = 0
) -> None:
    """Raises InvalidArgument for a tensor that is missing, in a geometry of no loaded bundle, or of another shape or dtype.

    `first` is the position of the first of `photos` in the request.
    """
    known = {geometry for bundle in loaded for geometry in bundle.geometries}
    for position, tensors in enumerate(photos, first):
        field = f"photos[{position}].tensors"
        for geometry, tensor in tensors.items():
            if geometry not in known:
                raise unknown_geometry(geometry, loaded, field=field)
            _check_tensor(tensor, geometry, field=field)
        for bundle in resolved.bundles:
            for geometry in resolved.geometries_of(bundle):
                if geometry not in tensors:
                    raise InvalidArgument(field, f"holds no tensor in {geometry}, which {bundle.name} needs; send one")


def unknown_geometry(geometry: Geometry, loaded: Sequence[BundleDescription], *, field: str) -> InvalidArgument:
    """The error for a tensor in a geometry that no loaded bundle takes."""
    allowed = "; ".join(f"{bundle.name}: {' and '.join(map(str, bundle.geometries))}" for bundle in loaded)
    return InvalidArgument(field, f"is in {geometry}, which no loaded bundle takes; allowed: {allowed}")


def _check_tensor(tensor: Tensor, geometry: Geometry, *, field: str) -> None:
    shape = (geometry.height, geometry.width, 3)
    if tensor.shape != shape or tensor.dtype != np.uint8:
        raise InvalidArgument(field, f"is {tensor.dtype} {list(tensor.shape)}; {geometry} is uint8 {list(shape)}")
