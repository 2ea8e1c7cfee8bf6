"""Selects the bundles that a data folder needs; the others are neither pulled nor loaded."""

from collections.abc import Iterable, Sequence

from miradouro.bundles.catalogue import find
from miradouro.core.ports import CollectionStats
from miradouro.core.spaces import choose_spaces


def needed_bundles(names: Sequence[str], *, collections: Iterable[CollectionStats], spaces: Sequence[str] | None) -> list[str]:
    """Those of the bundles `names` that can tag, or have a space of a stored or a new collection.

    `spaces` are those of a new collection, None when none is made. Raises InvalidArgument for an unknown bundle, or for `spaces`
    that no bundle of `names` has.
    """
    manifests = [find(name) for name in names]
    held = {space.name.split("/")[0] for collection in collections for space in collection.spaces}
    offered = [space for manifest in manifests for space in manifest.described_spaces(manifest.precisions[0])]
    wanted = set()
    if spaces is not None:
        wanted = {space.bundle for space in choose_spaces(spaces, offered, field="MIRADOURO_SPACES")}
    return [manifest.name for manifest in manifests if manifest.name in held | wanted or manifest.tag_output]
