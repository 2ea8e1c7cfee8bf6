"""Which files of a folder are the sidecars of which photo, as paths; `core.sidecars.pairing` decides it by the names."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from miradouro.adapters.folder.file_kind import is_photo
from miradouro.core.sidecars.pairing import Role, SidecarNames


@dataclass(frozen=True)
class SidecarFile:
    """A file beside a photo that may describe it."""

    path: str
    role: Role


def sidecars_of(name: str, sidecars: SidecarNames, folder: str) -> tuple[SidecarFile, ...]:
    """The sidecars of the file `name` of the folder at the path `folder`, the most trusted first."""
    return tuple(SidecarFile(os.path.join(folder, one.name), one.role) for one in sidecars.of(name))


def owned_by_photos(files: Iterable[tuple[str, tuple[SidecarFile, ...]]]) -> set[str]:
    """The paths of the sidecars that have a photo among `files`, each a path with its sidecars."""
    owned: set[str] = set()
    for path, sidecars in files:
        paths = [one.path for one in sidecars if one.path not in owned]
        if paths and is_photo(path):
            owned.update(paths)
    return owned
