"""Sidecars that have a photo beside them: they come with it, not by themselves."""

import os
from collections.abc import Iterable

from miradouro.adapters.folder.file_kind import is_photo
from miradouro.core.sidecars.pairing import SidecarName


def owned_by_photos(folder: str, files: Iterable[tuple[str, tuple[SidecarName, ...]]]) -> set[str]:
    """The names of the sidecars in a folder that have a photo among `files`, which are names with their sidecars."""
    owned: set[str] = set()
    for name, sidecars in files:
        names = [one.name for one in sidecars if one.name not in owned]
        if names and is_photo(os.path.join(folder, name)):
            owned.update(names)
    return owned
