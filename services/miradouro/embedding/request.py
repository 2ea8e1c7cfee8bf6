"""What an embedding request asks for, checked against the loaded bundles before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miradouro.core.embedding import Tensor
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import BundleDescription, Space, resolve_space

MAX_PHOTOS = 64


@dataclass(frozen=True)
class Plan:
    """A question resolved: the spaces in the order of the request, and the bundles that answer it or tag."""

    spaces: tuple[Space, ...]
    tag_bundles: tuple[str, ...]
    bundles: tuple[BundleDescription, ...]

    def spaces_of(self, bundle: str) -> tuple[str, ...]:
        """Names of the asked spaces of a bundle."""
        return tuple(space.name for space in self.spaces if space.bundle == bundle)


def plan(spaces: Sequence[str], *, tags: bool, loaded: Sequence[BundleDescription]) -> Plan:
    """Resolves the names of spaces. Raises InvalidArgument: an unknown space, one asked for twice, or nothing asked for."""
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
    tag_bundles = tuple(bundle.name for bundle in loaded if bundle.can_tag) if tags else ()
    if tags and not tag_bundles:
        raise InvalidArgument("tags", "no loaded bundle can tag; leave tags out or load one that can, such as efficientnet-lite0")
    if not resolved and not tags:
        raise InvalidArgument(
            "spaces", f"nothing is asked for; name a space ({', '.join(s.name for s in known)}) or ask for tags"
        )
    needed = {space.bundle for space in resolved} | set(tag_bundles)
    return Plan(tuple(resolved), tag_bundles, tuple(bundle for bundle in loaded if bundle.name in needed))


def check_count(photos: int) -> None:
    """Raises InvalidArgument unless a request of that many photos is allowed."""
    if not 1 <= photos <= MAX_PHOTOS:
        raise InvalidArgument("photos", f"{photos} photos in the request; allowed: 1 to {MAX_PHOTOS}")


def check_tensors(
    photos: Sequence[Mapping[str, Tensor]], asked: Plan, *, loaded: Sequence[BundleDescription], first: int = 0
) -> None:
    """Raises InvalidArgument for a tensor that is missing, of an unknown bundle, or not of its bundle's shape or dtype.

    `first` is the position of the first of `photos` in the request.
    """
    by_name = {bundle.name: bundle for bundle in loaded}
    for position, tensors in enumerate(photos, first):
        field = f"photos[{position}].tensors"
        for name, tensor in tensors.items():
            check_bundle(name, by_name, field=field)
            _check_tensor(tensor, by_name[name], field=f"{field}[{name}]")
        for bundle in asked.bundles:
            if bundle.name not in tensors:
                raise InvalidArgument(
                    field, f"holds no tensor for {bundle.name}, which the request needs; it holds: {', '.join(tensors)}"
                )


def check_bundle(name: str, loaded: Mapping[str, BundleDescription], *, field: str) -> BundleDescription:
    """The loaded bundle called `name`. Raises InvalidArgument."""
    if name not in loaded:
        raise InvalidArgument(field, f"{shown(name)} is not a loaded bundle; allowed: {', '.join(loaded)}")
    return loaded[name]


def _check_tensor(tensor: Tensor, bundle: BundleDescription, *, field: str) -> None:
    shape = (bundle.geometry.height, bundle.geometry.width, 3)
    if tensor.shape != shape or tensor.dtype != np.uint8:
        raise InvalidArgument(field, f"is {tensor.dtype} {list(tensor.shape)}; {bundle.name} takes uint8 {list(shape)}")
