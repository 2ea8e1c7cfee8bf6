"""The sidecar files of a photo: their state and their bytes. Unreadable files are results here, not exceptions."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.core.sidecars.beside import READ_BYTES, SidecarContent
from miradouro.core.sidecars.pairing import SidecarName
from miradouro.runtime.regular_file import read_regular


@dataclass(frozen=True)
class SidecarState:
    """The state of a photo's sidecars: `fingerprint` is the SHA-256 of names, sizes, times and inodes, "" without sidecars.

    `newest_ns` is the latest mtime in nanoseconds.
    """

    fingerprint: str
    newest_ns: int


_NONE = SidecarState("", 0)


def state_of(photo: str, sidecars: Sequence[SidecarName]) -> SidecarState:
    """The current state of the sidecars beside the file `photo`. For an unreadable sidecar the error number counts."""
    if not sidecars:
        return _NONE
    folder, newest_ns = os.path.dirname(photo), 0
    parts: list[tuple[object, ...]] = []
    for one in sidecars:
        try:
            status = os.stat(os.path.join(folder, one.name))
        except OSError as exc:
            parts.append((one.name, exc.errno))
        else:
            newest_ns = max(newest_ns, status.st_mtime_ns)
            state = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            parts.append((one.name, *state))
    return SidecarState(hashlib.sha256(repr(parts).encode()).hexdigest(), newest_ns)


def read_contents(photo: str, sidecars: Sequence[SidecarName], *, prefix: str) -> tuple[SidecarContent, ...]:
    """The bytes of the sidecars beside the file `photo`. `prefix` is the id of its folder, "" for the root."""
    folder = os.path.dirname(photo)
    return tuple(_content(folder, one, prefix) for one in sidecars)


def sha256_of_contents(contents: Sequence[SidecarContent]) -> str:
    """SHA-256 over names and bytes, 64 lower-case hexadecimal digits; "" without sidecars."""
    if not contents:
        return ""
    digest = hashlib.sha256()
    for one in contents:
        name = one.path.rpartition("/")[2]
        digest.update(f"{one.role}\0{name}\0{one.error}\0{len(one.data)}\0".encode())
        digest.update(one.data)
    return digest.hexdigest()


def _content(folder: str, one: SidecarName, prefix: str) -> SidecarContent:
    path = prefix + photo_id_of(one.name)
    try:
        return SidecarContent(path, one.role, read_regular(os.path.join(folder, one.name), READ_BYTES))
    except OSError as exc:
        return SidecarContent(path, one.role, b"", f"it can't be read: {exc.strerror or exc}")
