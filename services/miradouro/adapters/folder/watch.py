"""Watches a folder and reports the subfolder that has changes. Which files changed is found by comparing that subfolder."""

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
_TICK_MS = 250  # the interval of checks for a stop and for a root that was mounted or unmounted
_LONGEST_GROUP = 10  # settle times after which changes are reported although more keep coming

_log = structlog.get_logger(__name__)


def touched(root: str, *, stop: Event, settle_ms: int, excluded: Sequence[Path] = ()) -> Iterator[str | None]:
    """The folders with changes, as prefixes of photo ids: "" for all of `root`, "2023/lisbon/" for a subfolder.

    Changes are grouped until none has come for `settle_ms`; a group is reported as the deepest folder that contains all of it.
    None comes at intervals without changes. The first value is "", as soon as the watch is active; "" comes again whenever
    `root` appears, disappears or is replaced (a disk is mounted). Changes in hidden and `excluded` folders are not reported. A
    change in a folder that two links lead to may be reported for one of them only. Where the system cannot watch, only the first
    "" comes, and a warning is logged. Ends when `stop` is set.
    """
    left_out = [os.path.realpath(folder) for folder in excluded]
    while not stop.is_set():
        identity = inode(root)
        try:
            if identity is not None:
                yield from _noted(root, identity, stop=stop, settle_ms=settle_ms, excluded=left_out)
                continue
        except (OSError, RuntimeError) as exc:  # watchfiles raises RuntimeError for its own failures
            _log.warning(
                "cannot watch the folder; comparing it at intervals instead",
                folder=root,
                error=str(exc),
                hint="on Linux the limit is sysctl fs.inotify.max_user_watches",
            )
        yield EVERYTHING
        while not stop.wait(_TICK_MS / 1_000) and inode(root) == identity:
            yield None


def _noted(root: str, identity: Inode, *, stop: Event, settle_ms: int, excluded: Sequence[str]) -> Iterator[str | None]:
    """Changes until another folder replaces `root`. Raises OSError, RuntimeError when the system cannot watch."""
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
    # With links a folder has several paths, and the system may report any of them. `root` itself contains no link.
    if not _is_below(common, root) or common == root or os.path.realpath(common) != common:
        return EVERYTHING
    return photo_id_of(os.path.relpath(common, root)) + "/"


def _is_hidden(parts: Sequence[str]) -> bool:
    """Whether a path is hidden and never indexed. Ignore files are not hidden: a change in them changes what is indexed."""
    *folders, name = parts
    return any(part.startswith(".") for part in folders) or (name.startswith(".") and name not in {IGNORE_FILE, NO_MEDIA_FILE})


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
