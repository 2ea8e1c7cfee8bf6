"""Lists every file below a folder in the order of photo ids. Memory: the names of one folder per level."""

import hashlib
import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from miradouro.adapters.folder.ignore_rules import IGNORE_FILE, IgnoreRules
from miradouro.adapters.folder.pairing import owned_by_photos
from miradouro.adapters.folder.photo_id import path_of, photo_id_of
from miradouro.core.errors import InvalidArgument
from miradouro.core.ignored_names import HIDDEN, IgnoreCode, IgnoreReason, ignored_by_name
from miradouro.core.sidecars.pairing import SidecarName, SidecarNames, is_sidecar_name
from miradouro.runtime.regular_file import open_regular

NO_MEDIA_FILE = ".nomedia"  # Android's marker: galleries do not show the folder
_CHUNK_BYTES = 1024 * 1024

Inode = tuple[int, int]  # device and number


@dataclass(frozen=True)
class File:
    """A file: its photo id, its path, and the sidecars beside it, the most trusted first."""

    photo_id: str
    path: str
    sidecars: tuple[SidecarName, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """An ignored file or folder, which is not opened. The `photo_id` of a folder is the common prefix of its photos' ids."""

    photo_id: str
    path: str
    reason: IgnoreReason
    is_folder: bool = False


@dataclass(frozen=True)
class Closed:
    """A folder that cannot be listed, or whose ignore file is unusable. `photo_id` is the common prefix of its photos' ids."""

    photo_id: str
    path: str
    error: OSError | InvalidArgument


Found = File | LeftOut | Closed
_LINK_LOOP = IgnoreReason(IgnoreCode.LINK_LOOP, "it is a link back to a folder that it lies in")
_DATA_FOLDER = IgnoreReason(IgnoreCode.DATA_FOLDER, "it is the data folder of Miradouro")
_NO_MEDIA = IgnoreReason(IgnoreCode.NO_MEDIA, f"it holds a file {NO_MEDIA_FILE}")


@dataclass(frozen=True)
class _Entry:
    photo_id: str
    path: str
    is_folder: bool
    sidecars: tuple[SidecarName, ...]
    rules: IgnoreRules  # of the folder that contains the entry


_Listed = _Entry | LeftOut | Closed


def files_of(root: str, photo_ids: Iterable[str], *, rules: IgnoreRules | None = None) -> Iterator[File]:
    """The files of photo ids, with the sidecars that are not ignored. A file need not exist.

    Sort the ids: a folder is listed once per run of consecutive ids.
    """
    for folder, ids in groupby(photo_ids, key=lambda photo_id: photo_id[: photo_id.rfind("/") + 1]):
        path = os.path.join(root, path_of(folder)).rstrip("/")
        try:
            with os.scandir(path) as scan:
                names = [entry.name for entry in scan if is_sidecar_name(entry.name) and not _is_folder(entry)]
        except OSError:  # reading the photo fails, too, and reports the error
            names = []
        sidecars = SidecarNames(name for name in names if left_out(root, folder + photo_id_of(name), rules=rules) is None)
        for photo_id in ids:
            name = path_of(photo_id.removeprefix(folder))
            yield File(photo_id, os.path.join(path, name), sidecars.of(name))


def walk(root: str, *, excluded: frozenset[Inode], within: str = "", rules: IgnoreRules | None = None) -> Iterator[Found]:
    """Everything below `root`, ordered by the UTF-8 bytes of the photo ids. Sidecars are listed with their photos.

    `within` limits the walk to one folder: the prefix of its photos' ids, with a / at the end and without links in it. Ignored
    and `excluded` folders are not entered. `rules` are those of the run; the walk adds the ignore files that it finds. Links are
    followed, except to a folder that contains them. A root that cannot be listed is Closed.
    """
    start = _start(root, within, rules or IgnoreRules())
    if not isinstance(start, _Start):
        yield start
        return
    inodes, above = start.inodes, len(start.inodes)
    levels: list[Iterator[_Listed]] = [_listing(start.path, within, inodes, start.rules)]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            inodes = inodes[: above + len(levels)]
        elif not isinstance(entry, _Entry):
            yield entry
        elif not entry.is_folder:
            yield File(entry.photo_id, entry.path, entry.sidecars)
        else:
            number = inode(entry.path)
            if number in inodes or number in excluded:
                yield LeftOut(entry.photo_id, entry.path, _LINK_LOOP if number in inodes else _DATA_FOLDER, is_folder=True)
            else:
                levels.append(_listing(entry.path, entry.photo_id, inodes, entry.rules))


def left_out(root: str, photo_id: str, *, rules: IgnoreRules | None = None) -> LeftOut | Closed | None:
    """Why the file of a photo id is ignored, by the names of its path and the ignore files along it; None when it is not."""
    folder, _, name = photo_id.rpartition("/")
    start = _start(root, folder + "/" if folder else "", rules or IgnoreRules())
    if not isinstance(start, _Start):
        return start
    own = _rules_of(start.path, photo_id.removesuffix(name), start.rules)
    if isinstance(own, IgnoreRules):
        reason = _reason(photo_id, name, is_folder=False, parent=os.path.basename(start.path), rules=own)
        return LeftOut(photo_id, os.path.join(start.path, path_of(name)), reason) if reason else None
    return own


@dataclass(frozen=True)
class _Start:
    """The folder where a walk starts, the inodes of the folders above it, and the rules of its parent."""

    path: str
    inodes: list[Inode]
    rules: IgnoreRules


def _start(root: str, within: str, rules: IgnoreRules) -> _Start | LeftOut | Closed:
    """The folder `within`; LeftOut when it or a folder above it is ignored, Closed when an ignore file above it is unusable."""
    path, prefix = root, ""
    inodes: list[Inode] = []
    for part in within.split("/")[:-1]:
        own = _rules_of(path, prefix, rules)
        if not isinstance(own, IgnoreRules):
            return replace(own, photo_id=within)
        rules, folder, prefix = own, path, f"{prefix}{part}/"
        inodes += [number for number in [inode(path)] if number]
        path = os.path.join(path, path_of(part))
        if reason := _reason(prefix, path_of(part), is_folder=True, parent=os.path.basename(folder), rules=rules):
            return LeftOut(within, path, reason, is_folder=True)
    return _Start(path, inodes, rules)


def _rules_of(path: str, prefix: str, rules: IgnoreRules, names: Container[str] | None = None) -> IgnoreRules | LeftOut | Closed:
    """The rules that apply in the folder at `path`. `names` are the names of its files; None looks them up."""
    if names is None:
        names = {name for name in (IGNORE_FILE, NO_MEDIA_FILE) if os.path.lexists(os.path.join(path, name))}
    if NO_MEDIA_FILE in names and (not prefix or rules.decision(prefix) is not False):
        return LeftOut(prefix, path, _NO_MEDIA, is_folder=True)
    if IGNORE_FILE not in names:
        return rules
    try:
        return rules.within(path, prefix)
    except (OSError, InvalidArgument) as exc:
        return Closed(prefix, os.path.join(path, IGNORE_FILE), exc)


def _reason(photo_id: str, name: str, *, is_folder: bool, parent: str, rules: IgnoreRules) -> IgnoreReason | None:
    """Why a file or folder is ignored. User-written rules precede the defaults, except for hidden names.

    `parent` is the name of the folder that contains it, `rules` are the rules of that folder.
    """
    default = ignored_by_name(name, is_folder=is_folder, parent=parent)
    if default is HIDDEN or (decided := rules.decision(photo_id)) is None:
        return default
    return decided or None


def _listing(path: str, prefix: str, inodes: list[Inode], rules: IgnoreRules) -> Iterator[_Listed]:
    try:
        status = os.stat(path)
        with os.scandir(path) as scan:
            names = {entry.name: _is_folder(entry) for entry in scan}
    except OSError as exc:
        yield Closed(prefix, path, exc)
        return
    inodes.append((status.st_dev, status.st_ino))
    own = _rules_of(path, prefix, rules, names)
    if not isinstance(own, IgnoreRules):
        yield own
        return
    entries: list[_Entry | LeftOut] = []
    taken: dict[str, str] = {}  # files by name → photo id
    parent = os.path.basename(path)
    for name, is_folder in names.items():
        photo_id = prefix + photo_id_of(name) + ("/" if is_folder else "")
        if reason := _reason(photo_id, name, is_folder=is_folder, parent=parent, rules=own):
            entries.append(LeftOut(photo_id, os.path.join(path, name), reason, is_folder))
        elif is_folder:
            entries.append(_Entry(photo_id, os.path.join(path, name), is_folder, (), own))
        else:
            taken[name] = photo_id
    sidecars = SidecarNames(filter(is_sidecar_name, taken))
    found = {name: sidecars.of(name) for name in taken}
    owned = owned_by_photos(path, found.items())
    entries += [
        _Entry(photo_id, os.path.join(path, name), is_folder=False, sidecars=found[name], rules=own)
        for name, photo_id in taken.items()
        if name not in owned
    ]
    entries.sort(key=lambda entry: entry.photo_id.encode())
    yield from entries


def inode(path: str) -> Inode | None:
    """The device and inode number, which identify a folder; None when it cannot be reached."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


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
    except OSError:  # a broken link counts as an unreadable file
        return False
