"""Finds bundles in three places: those of Miradouro, those in MIRADOURO_BUNDLES_DIR, and those of installed packages.

A bundle of the user is a folder with the bundle's name that contains `bundle.toml`. A package names the folder of its bundle by
an entry point of the group `miradouro.bundles`: the entry point's name is that of the bundle, its value a package beside whose
modules `bundle.toml` lies. Nothing of the package is imported or run. An earlier place hides a bundle of the same name in a
later one.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

from miradouro.bundles.manifest import MODELS, Manifest, read_manifest
from miradouro.bundles.own_parts import with_own_parts
from miradouro.bundles.settings import BundleSettings
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle, InvalidArgument
from miradouro.core.spaces import Preset
from miradouro.runtime.settings import load

GROUP = "miradouro.bundles"
FILE = "bundle.toml"


def manifests() -> tuple[Manifest, ...]:
    """The manifests of all bundles, sorted by name. Raises BadBundle for one that can't be read."""
    return tuple(_read(name, path) for name, path in sorted(manifest_files().items()))


def manifest_files() -> Mapping[str, Path]:
    """The files of all manifests by the name of the bundle; none is read. Raises BadBundle as `manifests`."""
    return {**_packaged(), **_of_the_user(), **_shipped()}


def find(name: str) -> Manifest:
    """The manifest of a bundle. Raises InvalidArgument naming every bundle when there is none called `name`, BadBundle."""
    # Reading the entry points of all packages takes longer than a search by words: they are read last.
    path = _shipped().get(name) or _of_the_user().get(name) or _packaged().get(name)
    if path is None:
        raise InvalidArgument("bundle", f"{shown(name)} is not a bundle; allowed: {', '.join(sorted(manifest_files()))}")
    return _read(name, path)


def is_known(name: str) -> bool:
    """Whether there is a bundle called `name`; its manifest is not read."""
    return name in _shipped() or name in _of_the_user() or name in _packaged()


def origin(name: str) -> Literal["shipped", "added", "package"]:
    """The place that the bundle called `name` comes from."""
    if name in _shipped():
        return "shipped"
    return "added" if name in _of_the_user() else "package"


def preset_of(name: str) -> Preset | None:
    """The smallest preset that has the space called `name`; None when no bundle has it."""
    bundle = name.split("/")[0]
    if bundle not in manifest_files():
        return None
    for part in find(bundle).spaces:
        if name == f"{bundle}/{part.output}" or (part.default_pooling and name == f"{bundle}/{part.layer}"):
            return part.preset
    return None


@cache
def _shipped() -> Mapping[str, Path]:
    return {path.stem: path for path in MODELS.glob("*.toml")}


def _of_the_user() -> Mapping[str, Path]:
    folder = load(BundleSettings).bundles_folder
    return {path.parent.name: path for path in folder.glob(f"*/{FILE}")}


@cache
def _packaged() -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for entry in entry_points(group=GROUP):
        path = _folder_of(entry.module) / FILE
        if found.setdefault(entry.name, path) != path:
            raise BadBundle(f"bundle {entry.name} is offered twice, by {path} and {found[entry.name]}; uninstall one package")
    return found


def _folder_of(package: str) -> Path:
    """The folder of a package, found without importing it. Raises BadBundle."""
    places: list[str] | None = None
    for part in package.split("."):
        spec = PathFinder.find_spec(part, places)
        if spec is None or not spec.submodule_search_locations:
            raise BadBundle(f"the entry point of {GROUP} names {shown(package)}, no package; install it anew or remove it")
        places = list(spec.submodule_search_locations)
    return Path(places[0] if places else "")


def _read(name: str, path: Path) -> Manifest:
    try:
        status = path.stat()
    except OSError as exc:
        raise BadBundle(f"{path}: the manifest of {name} can't be read: {exc}; install or add the bundle anew") from exc
    manifest = _parsed(path, status.st_mtime_ns, status.st_size)
    if manifest.name != name:
        raise BadBundle(f"{path}: the manifest is called {manifest.name}, and its place {name}; give both the same name")
    return with_own_parts(manifest, load(BundleSettings).bundles_folder)


@lru_cache(maxsize=256)
def _parsed(path: Path, _changed_ns: int, _size: int) -> Manifest:
    return read_manifest(path)
