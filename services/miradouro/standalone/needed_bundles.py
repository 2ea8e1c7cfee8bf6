"""Selects the bundles that a data folder needs; the others are neither pulled nor loaded."""

from collections.abc import Iterable, Sequence

from miradouro.bundles.catalogue import find, manifest_files
from miradouro.core.ports import CollectionStats
from miradouro.core.spaces import DEFAULT_TAGGER, choose_spaces, held_tagger


def needed_bundles(names: Sequence[str], *, collections: Iterable[CollectionStats], spaces: Sequence[str] | None) -> list[str]:
    """The bundles with a space of a stored or a new collection, and those that tag one: of `names`, and of the spaces' names.

    `spaces` are those of a new collection, None when none is made. Raises InvalidArgument for an unknown bundle, or for `spaces`
    that no bundle has.
    """
    stored = [[space.name for space in collection.spaces] for collection in collections]
    held = {name.split("/")[0] for one in stored for name in one} & manifest_files().keys()
    named = {name.split("/")[0] for name in spaces or () if "/" in name}
    candidates = [find(name) for name in dict.fromkeys([*names, *sorted(held | named)])]
    new: list[list[str]] = []
    if spaces is not None:
        offered = [space for manifest in candidates for space in manifest.described_spaces(manifest.precisions[0])]
        new = [[space.name for space in choose_spaces(spaces, offered, field="MIRADOURO_SPACES")]]
    wanted = {name.split("/")[0] for one in new for name in one}
    taggers = {held_tagger(one) for one in [*stored, *new]} or {DEFAULT_TAGGER}
    return [manifest.name for manifest in candidates if manifest.name in held | wanted | taggers]
