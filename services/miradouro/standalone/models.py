"""Model files on first use: a missing file is pulled, a damaged one is refused."""

from collections.abc import Callable, Sequence
from pathlib import Path

from miradouro.bundles.catalogue import find
from miradouro.bundles.registry import OpenBundle, model_path, open_bundle, record_path
from miradouro.core.ports import SpaceStats


def precision_in_use(name: str, *, held: Sequence[SpaceStats], otherwise: str) -> str:
    """The precision of bundle `name` in the spaces `held` by the collections.

    When none is of this bundle: `otherwise`, or the bundle's first precision when it is not offered in that one.
    Raises InvalidArgument (unknown bundle).
    """
    manifest = find(name)
    provenances = {space.provenance for space in held}
    for precision in manifest.precisions:
        if any(space.provenance in provenances for space in manifest.described_spaces(precision)):
            return precision
    return manifest.precision_for(otherwise)


def open_or_pull(names: Sequence[str], *, precision: Callable[[str], str], folder: Path, offline: bool) -> list[OpenBundle]:
    """The verified bundles, each in the precision that `precision` returns for its name.

    A bundle without a model file is pulled, unless `offline`. A corrupt file is never replaced automatically.

    Raises BadBundle naming the command that pulls it, InvalidArgument (unknown bundle or precision), Unavailable.
    """
    bundles = []
    for name in names:
        wanted = precision(name)
        path = model_path(folder, find(name), wanted)
        if not offline and not (path.exists() and record_path(path).exists()):
            from miradouro.bundles.pull import pull  # here: it imports the graph builders, which most starts do not need

            bundles.append(pull(name, precision=wanted, folder=folder))
        else:
            bundles.append(open_bundle(name, precision=wanted, folder=folder))
    return bundles
