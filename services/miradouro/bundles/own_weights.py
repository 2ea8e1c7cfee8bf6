"""`models pull NAME --weights FILE`: builds a bundle from weights that the user has."""

import os
import shutil
import tempfile
from pathlib import Path

from miradouro.bundles.adding import build_and_test
from miradouro.bundles.catalogue import FILE as MANIFEST_FILE
from miradouro.bundles.catalogue import find
from miradouro.bundles.own_parts import FILE as OWN_FILE
from miradouro.bundles.own_parts import own_parts, with_parts, write_own_parts
from miradouro.bundles.progress import Progress, default_progress
from miradouro.bundles.pull import disk_error
from miradouro.bundles.registry import OpenBundle, sha256_of
from miradouro.bundles.settings import BundleSettings
from miradouro.bundles.sources import FileSource
from miradouro.core.errors import BadBundle, InvalidArgument
from miradouro.runtime.settings import load


def use_weights(name: str, weights: Path, *, precision: str | None = None, progress: Progress | None = None) -> OpenBundle:
    """The bundle, with a copy of the file `weights` as its only source from now on; by default in its first precision.

    A bundle changes only when a model can be built from the file and passes the self-test. Ranges that were measured with other
    weights are dropped. Raises InvalidArgument (unknown bundle, one that no file is built into, or a precision that it is not
    offered in), BadBundle (the file), Unavailable (disk), ConfigurationError (no onnxruntime).
    """
    settings = load(BundleSettings)
    bundles = settings.bundles_folder
    manifest = find(name)
    if not manifest.sources:
        raise InvalidArgument("weights", f"{name} is built without weights; leave the file out")
    if weights.name in {MANIFEST_FILE, OWN_FILE}:
        raise BadBundle(f"{weights}: a bundle keeps something else under this name; rename the file")
    try:
        source = FileSource(kind="file", file=weights.name, sha256=sha256_of(weights))
    except (OSError, ValueError) as exc:
        raise BadBundle(f"{weights}: the weights can't be read: {exc}; name a file that can") from exc
    before = own_parts(name, bundles)
    is_same = source.sha256 in {each.sha256 for each in manifest.sources}
    parts = before.model_copy(update={"weights": source} if is_same else {"weights": source, "calibration": None})
    try:
        bundles.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".weights-", dir=bundles) as staging:
            staged = Path(staging) / name / source.file
            staged.parent.mkdir()
            _copy(weights, staged)
            candidate = with_parts(manifest, parts)
            wanted = precision or candidate.precisions[0]
            built = build_and_test(candidate, wanted, settings, Path(staging), progress or default_progress())
            kept = bundles / name / source.file
            kept.parent.mkdir(exist_ok=True)
            staged.replace(kept)
            write_own_parts(name, bundles, parts)
    except BadBundle as exc:  # of the copy, which nobody sees
        raise BadBundle(exc.message.replace(str(staged), str(weights))) from exc
    except OSError as exc:
        raise disk_error(exc, bundles, "the weights can't be copied there") from exc
    if before.weights and before.weights.file != source.file:
        (bundles / name / before.weights.file).unlink(missing_ok=True)
    return built


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as original, target.open("wb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())
