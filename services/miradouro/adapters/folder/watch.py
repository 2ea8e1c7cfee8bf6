"""Notices changes below a folder, and tells the part of it that is to be compared again; what changed is for the comparison."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event

import structlog
import watchfiles

from miradouro.adapters.folder.ignore_rules import IGNORE_FILE
from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.adapters.folder.walk import NO_MEDIA_FILE, Inode, inode

EVERYTHING = ""
_TICK_MS = 250  # how often a stop, and a root that comes or goes, are noticed
_LONGEST_GROUP = 10  # settle times after which changes are told although more keep coming

_log = structlog.get_logger(__name__)


def touched(root: str, *, stop: Event, settle_ms: int, excluded: Sequence[Path] = ()) -> Iterator[str | None]:
    """The folder below which something changed, as the ids of its photos begin: "" for all of `root`, "2023/lisbon/" for a part.

    Changes are told together, when none has come for `settle_ms`, as the one folder that they have in common; None is told
    now and then when there was none. "" comes first of all, once changes are being noted, and again whenever `root` comes,
    goes or is replaced (a disk is mounted). What is hidden or `excluded` is not told, and what two links to one folder both show
    may be told of one of them alone. Where the system can't note changes only
    that first one is told, and a line is logged. Ends when `stop` is set.
    """
    left_out = [os.path.realpath(folder) for folder in excluded]
    while not stop.is_set():
        identity = inode(root)
        try:
            if identity is not None:
                yield from _noted(root, identity, stop=stop, settle_ms=settle_ms, excluded=left_out)
                continue
        except (OSError, RuntimeError) as exc:  # the library's own errors are of the latter kind
            _log.warning(
                "changes of a folder can't be noticed, it is looked through now and then instead",
                folder=root,
                error=str(exc),
                hint="on Linux the limit is sysctl fs.inotify.max_user_watches",
            )
        yield EVERYTHING
        while not stop.wait(_TICK_MS / 1_000) and inode(root) == identity:
            yield None


def _noted(root: str, identity: Inode, *, stop: Event, settle_ms: int, excluded: Sequence[str]) -> Iterator[str | None]:
    """Changes until `root` is another folder. Raises OSError when they can't be noted."""
    groups = watchfiles.watch(
        root,
        watch_filter=None,
        debounce=settle_ms * _LONGEST_GROUP,
        step=settle_ms,
        stop_event=stop,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    is_first = True
    for group in groups:
        yield EVERYTHING if is_first else _common_folder(root, (path for _, path in group), excluded)
        is_first = False
        if inode(root) != identity:
            return


def _common_folder(root: str, paths: Iterable[str], excluded: Sequence[str]) -> str | None:
    folders = []
    for path in paths:
        is_hidden = path != root and _is_hidden(os.path.relpath(path, root).split(os.sep))
        if not is_hidden and not any(_is_below(path, folder) for folder in excluded):
            folders.append(os.path.dirname(path))
    if not folders:
        return None
    common = os.path.commonpath(folders)
    while not os.path.isdir(common) and _is_below(common, root):
        common = os.path.dirname(common)
    # With links a folder can be reached by several paths; which one the system tells is not defined. `root` has none in it.
    if not _is_below(common, root) or common == root or os.path.realpath(common) != common:
        return EVERYTHING
    return photo_id_of(os.path.relpath(common, root)) + "/"


def _is_hidden(parts: Sequence[str]) -> bool:
    """Whether a path is never indexed; the files that say what else is not indexed count as seen."""
    *folders, name = parts
    return any(part.startswith(".") for part in folders) or (name.startswith(".") and name not in {IGNORE_FILE, NO_MEDIA_FILE})


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
