"""Adds and removes bundles of the user. A bundle is added whole, after its self-test, or not at all."""

import shutil
import tempfile
from pathlib import Path

from miradouro.bundles.build import RECIPES
from miradouro.bundles.catalogue import FILE, is_known
from miradouro.bundles.fetch import record_files
from miradouro.bundles.manifest import PRECISIONS, Manifest, read_manifest
from miradouro.bundles.own_parts import with_own_parts
from miradouro.bundles.progress import Progress, default_progress
from miradouro.bundles.pull import disk_error, pull_built
from miradouro.bundles.registry import OpenBundle, model_path, open_bundle, record_path
from miradouro.bundles.self_test import self_test
from miradouro.bundles.settings import BundleSettings
from miradouro.bundles.sources import FileSource
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle, FailedPrecondition, InvalidArgument


def add(path: Path, settings: BundleSettings, *, progress: Progress | None = None) -> OpenBundle:
    """Copies a manifest and its files to the folder of added bundles, builds the model file and tests it.

    Raises BadBundle (the manifest, a file or the self-test), FailedPrecondition (the name is taken), Unavailable (download or
    disk), ConfigurationError (no onnxruntime).
    """
    manifest = read_manifest(path)
    if manifest.recipe not in RECIPES:
        raise BadBundle(f"{path}: {shown(manifest.recipe)} is not a recipe; known are {', '.join(RECIPES)}")
    if is_known(manifest.name):
        raise FailedPrecondition(
            f"there is a bundle {manifest.name} already; give the new one another name, or run "
            f"`miradouro models remove {manifest.name}` first"
        )
    for precision in manifest.precisions:
        manifest.ranges(precision)
    bundles = settings.bundles_folder
    try:
        bundles.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=bundles) as staging:
            folder = Path(staging) / manifest.name
            folder.mkdir()
            files = _files(manifest, path)
            record_files(manifest, Path(staging))
            complete = with_own_parts(manifest, Path(staging))
            build_and_test(complete, complete.precisions[0], settings, Path(staging), progress or default_progress())
            for file in files:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(manifest.beside(file), folder / file)
            shutil.copyfile(path, folder / FILE)
            folder.rename(bundles / manifest.name)
    except OSError as exc:
        raise disk_error(exc, bundles, "the bundle can't be added") from exc
    return open_bundle(manifest.name, precision=manifest.precisions[0], folder=settings.folder)


def remove(name: str, settings: BundleSettings) -> None:
    """Deletes a bundle that was added, and its model files. Raises InvalidArgument when there is none, Unavailable (disk)."""
    folder = settings.bundles_folder / name
    if folder.parent != settings.bundles_folder or name.startswith(".") or not folder.is_dir():
        raise InvalidArgument(
            "bundle", f"{shown(name)} is not in {settings.bundles_folder}; only bundles that were added can be removed"
        )
    try:
        models = [path for precision in PRECISIONS for path in settings.folder.glob(f"{name}-{precision}-????????.*")]
        with tempfile.TemporaryDirectory(prefix=".removing-", dir=settings.bundles_folder) as rubbish:
            folder.rename(Path(rubbish) / name)
            for path in models:
                path.unlink(missing_ok=True)
    except OSError as exc:
        raise disk_error(exc, folder, "the bundle can't be removed") from exc


def _files(manifest: Manifest, path: Path) -> list[str]:
    """The files that the manifest at `path` names. Raises BadBundle when one is missing."""
    files = [source.file for source in manifest.sources if isinstance(source, FileSource)]
    if manifest.constants:
        files.append(manifest.constants.file)
    if manifest.tags and isinstance(manifest.tags.labels, str) and manifest.label_table == manifest.name:
        files.append(manifest.tags.labels)
    for file in files:
        if not manifest.beside(file).is_file():
            raise BadBundle(f"{path}: the manifest names {shown(file)}, which is not beside it; put it there")
    return files


def build_and_test(manifest: Manifest, precision: str, settings: BundleSettings, staging: Path, progress: Progress) -> OpenBundle:
    """Builds a bundle whose files lie in the folder `staging`; a model file that fails the test is deleted."""
    model = model_path(settings.folder, manifest, precision)
    try:
        opened = pull_built(manifest, precision=precision, folder=settings.folder, bundles=staging, progress=progress)
        progress.step(f"{manifest.name}: testing it on generated pictures")
        self_test(opened)
    except BaseException:
        record_path(model).unlink(missing_ok=True)
        model.unlink(missing_ok=True)
        raise
    return opened
