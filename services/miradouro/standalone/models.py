"""Model files on first use: what is missing is pulled, what is damaged is refused."""

from collections.abc import Sequence
from pathlib import Path

from miradouro.bundles.registry import OpenBundle, model_path, open_bundle, record_path


def open_or_pull(names: Sequence[str], *, precision: str, folder: Path, offline: bool) -> list[OpenBundle]:
    """The bundles, verified. One without a model file is pulled, unless `offline`; a corrupt one is never replaced unasked.

    Raises BadBundle naming the command that pulls it, InvalidArgument (unknown bundle or precision), Unavailable.
    """
    bundles = []
    for name in names:
        path = model_path(folder, name, precision)
        if not offline and not (path.exists() and record_path(path).exists()):
            from miradouro.bundles.pull import pull  # here: it needs the graph builders, and most starts don't

            bundles.append(pull(name, precision=precision, folder=folder))
        else:
            bundles.append(open_bundle(name, precision=precision, folder=folder))
    return bundles
