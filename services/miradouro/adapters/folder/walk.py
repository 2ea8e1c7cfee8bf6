"""Every file below a folder, in the order of photo ids, without holding more than one folder's names per level."""

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

NO_MEDIA_FILE = ".nomedia"  # Android's mark of a folder that no gallery shows
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
    """A file or folder that is ignored without a look into it; `photo_id` of a folder is what its photos' ids begin with."""

    photo_id: str
    path: str
    reason: IgnoreReason
    is_folder: bool = False


@dataclass(frozen=True)
class Closed:
    """A folder that can't be listed, or whose ignore file can't be used; `photo_id` is what the ids of its photos begin with."""

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
    rules: IgnoreRules  # those of the folder that it lies in


_Listed = _Entry | LeftOut | Closed


def files_of(root: str, photo_ids: Iterable[str], *, rules: IgnoreRules | None = None) -> Iterator[File]:
    """The files of photo ids that `photo_id_of` made, with their sidecars but for ignored ones; a file need not exist.

    Each folder is listed once where the ids of its photos stand together.
    """
    for folder, ids in groupby(photo_ids, key=lambda photo_id: photo_id[: photo_id.rfind("/") + 1]):
        path = os.path.join(root, path_of(folder)).rstrip("/")
        try:
            with os.scandir(path) as scan:
                names = [entry.name for entry in scan if is_sidecar_name(entry.name) and not _is_folder(entry)]
        except OSError:  # the photo cannot be read either
            names = []
        sidecars = SidecarNames(name for name in names if left_out(root, folder + photo_id_of(name), rules=rules) is None)
        for photo_id in ids:
            name = path_of(photo_id.removeprefix(folder))
            yield File(photo_id, os.path.join(path, name), sidecars.of(name))


def walk(root: str, *, excluded: frozenset[Inode], within: str = "", rules: IgnoreRules | None = None) -> Iterator[Found]:
    """Everything below `root`, ordered by the UTF-8 bytes of its photo id; sidecars come with their photos, not by themselves.

    `within`: below this folder alone, given as its photos' ids begin, / at the end; none of its parts is a link. Ignored and
    `excluded` folders are left out as a whole. `rules` are those of the run; ignore files are read on the way. Links are
    followed, except back into a folder that they lie in. A root that can't be listed is Closed too.
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
    """Why the file of a photo id is ignored, by the names and ignore files on the way to it; None where it is not."""
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
    """A folder, the folders above it, and the rules of the folder right above it."""

    path: str
    inodes: list[Inode]
    rules: IgnoreRules


def _start(root: str, within: str, rules: IgnoreRules) -> _Start | LeftOut | Closed:
    """The folder `within`, LeftOut when it or one above it is ignored, Closed when an ignore file above it can't be used."""
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
    """The rules that hold in the folder at `path`, whose `names` are those of its files; None: they are looked up."""
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
    """Why a file or folder is ignored: a rule of people goes before the default, except for hidden names.

    `parent` is the name of the folder that it lies in, `rules` are those of that folder.
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
    """What tells the folder from every other; None where it can't be reached."""
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
    except OSError:  # a link that leads nowhere is a file that can't be read
        return False
