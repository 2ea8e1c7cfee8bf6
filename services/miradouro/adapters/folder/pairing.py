"""Sidecars that belong to a photo of the same folder. The walk lists them with the photo, not as files of their own."""

import os
from collections.abc import Iterable

from miradouro.adapters.folder.file_kind import is_photo
from miradouro.core.sidecars.pairing import SidecarName


def owned_by_photos(folder: str, files: Iterable[tuple[str, tuple[SidecarName, ...]]]) -> set[str]:
    """The names of the sidecars that belong to a photo of `folder`. `files` are file names with their candidate sidecars."""
    owned: set[str] = set()
    for name, sidecars in files:
        names = [one.name for one in sidecars if one.name not in owned]
        if names and is_photo(os.path.join(folder, name)):
            owned.update(names)
    return owned
