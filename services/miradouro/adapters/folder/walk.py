"""Every file below a folder, in the order of photo ids, without holding more than one folder's names per level."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from miradouro.core.sniff import SNIFF_BYTES, is_picture_name, sniff
from miradouro.runtime.regular_file import open_regular, read_regular

SIDECAR = ".json"
_ESCAPE = "\N{REPLACEMENT CHARACTER}"
_CHUNK_BYTES = 1024 * 1024

Inode = tuple[int, int]  # device and number


@dataclass(frozen=True)
class File:
    """A file: its photo id, its path, and the path of its sidecar, "" where there is none."""

    photo_id: str
    path: str
    sidecar: str


@dataclass(frozen=True)
class Hidden:
    """A file that is not looked into: its name begins with a dot, or it is a link back to a folder that it lies in."""

    photo_id: str
    path: str


@dataclass(frozen=True)
class Closed:
    """A folder that can't be listed; `photo_id` is what the ids of its photos begin with, / at the end."""

    photo_id: str
    path: str
    error: OSError


Found = File | Hidden | Closed


@dataclass(frozen=True)
class _Entry:
    photo_id: str
    path: str
    is_folder: bool
    is_hidden: bool
    sidecar: str


def photo_id_of(relative_path: str) -> str:
    """The photo id of a path below the root, as the operating system gives it.

    Bytes that are no UTF-8, and the replacement character itself, are written as that character and two hexadecimal digits,
    so that two files never share an id.
    """
    text = relative_path.replace(_ESCAPE, "".join(f"{_ESCAPE}{byte:02X}" for byte in _ESCAPE.encode()))
    return "".join(f"{_ESCAPE}{ord(one) - 0xDC00:02X}" if "\udc80" <= one <= "\udcff" else one for one in text)


def path_of(photo_id: str) -> str:
    """The path below the root that `photo_id_of` made the id from."""
    head, *rest = photo_id.split(_ESCAPE)
    raw = head.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in rest)
    return os.fsdecode(raw)


def file_of(root: str, photo_id: str) -> File:
    """The file of a photo id that `photo_id_of` made; it need not be there."""
    path = os.path.join(root, path_of(photo_id))
    sidecar = os.path.splitext(path)[0] + SIDECAR
    has_sidecar = sidecar != path and os.path.lexists(sidecar) and not os.path.isdir(sidecar)
    return File(photo_id, path, sidecar if has_sidecar else "")


def walk(root: str, *, excluded: frozenset[Inode], within: str = "") -> Iterator[Found]:
    """Everything below `root`, ordered by the UTF-8 bytes of its photo id; sidecars come with their photos, not by themselves.

    `within`: below this folder alone, told as its photos' ids begin, / at the end; none of its parts is a link
    or hidden. Folders whose names begin with a dot, and `excluded` ones, are left out. Links are followed, except back into a
    folder that they lie in. A root that can't be listed is Closed too.
    """
    top = root
    inodes: list[Inode] = []
    for name in path_of(within).split("/")[:-1]:
        inodes += [number for number in [inode(top)] if number]
        top = os.path.join(top, name)
    above = len(inodes)
    levels: list[Iterator[_Entry | Closed]] = [_listing(top, within, inodes)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            inodes = inodes[: above + len(levels)]
        elif isinstance(entry, Closed):
            yield entry
        elif not entry.is_folder:
            yield Hidden(entry.photo_id, entry.path) if entry.is_hidden else File(entry.photo_id, entry.path, entry.sidecar)
        elif not entry.is_hidden:
            number = inode(entry.path)
            if number in inodes:
                yield Hidden(entry.photo_id, entry.path)
            elif number not in excluded:
                levels.append(_listing(entry.path, entry.photo_id, inodes))


def _listing(path: str, prefix: str, inodes: list[Inode]) -> Iterator[_Entry | Closed]:
    try:
        status = os.stat(path)
        with os.scandir(path) as scan:
            names = {entry.name: _is_folder(entry) for entry in scan}
    except OSError as exc:
        yield Closed(prefix, path, exc)
        return
    inodes.append((status.st_dev, status.st_ino))
    sidecars = {name for name, is_folder in names.items() if name.endswith(SIDECAR) and not is_folder}
    owned = _owned(path, names, sidecars) if sidecars else set()
    entries = []
    for name, is_folder in names.items():
        if name in owned:
            continue
        sidecar = os.path.splitext(name)[0] + SIDECAR
        has_sidecar = sidecar in sidecars and sidecar != name
        photo_id = prefix + photo_id_of(name) + ("/" if is_folder else "")
        entries.append(
            _Entry(
                photo_id,
                os.path.join(path, name),
                is_folder,
                name.startswith("."),
                os.path.join(path, sidecar) if has_sidecar else "",
            )
        )
    entries.sort(key=lambda entry: entry.photo_id.encode())
    yield from entries


def _owned(path: str, names: dict[str, bool], sidecars: set[str]) -> set[str]:
    """The sidecars that lie beside a photo of their stem."""
    owned: set[str] = set()
    for name, is_folder in names.items():
        sidecar = os.path.splitext(name)[0] + SIDECAR
        if is_folder or name in sidecars or sidecar not in sidecars or name.startswith("."):
            continue
        if sidecar not in owned and is_photo(os.path.join(path, name)):
            owned.add(sidecar)
    return owned


def inode(path: str) -> Inode | None:
    """What tells the folder from every other; None where it can't be reached."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_photo(path: str) -> bool:
    """Whether the file is a picture by its name or by its first bytes."""
    if is_picture_name(os.path.basename(path)):
        return True
    try:
        return sniff(read_regular(path, SNIFF_BYTES)) is not None
    except OSError:  # what can't be read and isn't called a picture is none
        return False


def sha256_of(path: str, limit_bytes: int) -> str:
    """SHA-256 of the first `limit_bytes` of a file, 64 lower-case hexadecimal digits. Raises NotRegular, OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(min(_CHUNK_BYTES, limit_bytes)):
            digest.update(chunk)
            limit_bytes -= len(chunk)
    return digest.hexdigest()


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere is a file that can't be read
        return False
