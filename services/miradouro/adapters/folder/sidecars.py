"""The sidecars of a photo as files: their state, and their bytes. Nothing here raises for what lies on the disk."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from miradouro.adapters.folder.pairing import SidecarFile
from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.core.sidecars.beside import READ_BYTES, SidecarContent
from miradouro.runtime.regular_file import read_regular


@dataclass(frozen=True)
class SidecarState:
    """State of all sidecars of a photo: SHA-256 of names, sizes, times and inodes, "" without any; the latest mtime in ns."""

    fingerprint: str
    newest_ns: int


def state_of(sidecars: Sequence[SidecarFile]) -> SidecarState:
    """The state of these files now; one that cannot be looked at has a state, too."""
    if not sidecars:
        return SidecarState("", 0)
    newest_ns = 0
    parts: list[tuple[int, ...]] = []
    for one in sidecars:
        try:
            status = os.stat(one.path)
        except OSError as exc:
            parts.append((exc.errno or 0,))
        else:
            newest_ns = max(newest_ns, status.st_mtime_ns)
            parts.append((status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino))
    names = [os.path.basename(one.path) for one in sidecars]
    return SidecarState(hashlib.sha256(repr(list(zip(names, parts, strict=True))).encode()).hexdigest(), newest_ns)


def read_contents(sidecars: Sequence[SidecarFile], folder: str) -> tuple[SidecarContent, ...]:
    """The bytes of these files; `folder` is what the ids of its photos begin with."""
    return tuple(_content(one, folder + photo_id_of(os.path.basename(one.path))) for one in sidecars)


def sha256_of_contents(contents: Sequence[SidecarContent]) -> str:
    """64 lower-case hexadecimal digits over names and bytes; "" without any."""
    if not contents:
        return ""
    digest = hashlib.sha256()
    for one in contents:
        digest.update(f"{one.role}\0{os.path.basename(one.path)}\0{one.error}\0{len(one.data)}\0".encode())
        digest.update(one.data)
    return digest.hexdigest()


def _content(one: SidecarFile, path: str) -> SidecarContent:
    try:
        return SidecarContent(path, one.role, read_regular(one.path, READ_BYTES))
    except OSError as exc:
        return SidecarContent(path, one.role, b"", f"it can't be read: {exc.strerror or exc}")
