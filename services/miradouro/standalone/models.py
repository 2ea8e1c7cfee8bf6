"""Model files on first use: what is missing is pulled, what is damaged is refused."""

from collections.abc import Callable, Sequence
from pathlib import Path

from miradouro.bundles.manifest import find
from miradouro.bundles.registry import OpenBundle, model_path, open_bundle, record_path
from miradouro.core.ports import SpaceStats


def precision_in_use(name: str, *, held: Sequence[SpaceStats], otherwise: str) -> str:
    """The precision of bundle `name` that the collections' spaces were made with; `otherwise` where none has any of it.

    Raises InvalidArgument (unknown bundle).
    """
    manifest = find(name)
    provenances = {space.provenance for space in held}
    for precision in manifest.precisions:
        if any(space.provenance in provenances for space in manifest.described_spaces(precision)):
            return precision
    return otherwise


def open_or_pull(names: Sequence[str], *, precision: Callable[[str], str], folder: Path, offline: bool) -> list[OpenBundle]:
    """The bundles, each in the precision told for its name, verified.

    One without a model file is pulled, unless `offline`; a corrupt one is never replaced unasked.

    Raises BadBundle naming the command that pulls it, InvalidArgument (unknown bundle or precision), Unavailable.
    """
    bundles = []
    for name in names:
        wanted = precision(name)
        path = model_path(folder, find(name), wanted)
        if not offline and not (path.exists() and record_path(path).exists()):
            from miradouro.bundles.pull import pull  # here: it needs the graph builders, and most starts don't

            bundles.append(pull(name, precision=wanted, folder=folder))
        else:
            bundles.append(open_bundle(name, precision=wanted, folder=folder))
    return bundles
