"""Reads token files, and checks their owners, modes and contents.

A token file of a setting may be a link, and a file of root may be readable by its group. Kubernetes mounts secrets in this way
(links to a file of root with mode 0440, whose group is the pod's fsGroup), and administrators give a token to one service. A file
that another user can read or replace in any other way is refused. The data folder's own token is a plain file of its owner.
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from miradouro.core.errors import ConfigurationError

MIN_TOKEN_CHARS = 32
MAX_FILE_BYTES = 64 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_MAKE_ONE = "make one with `(umask 077; openssl rand -hex 32 > FILE)`"
_ROOT = 0


def read_tokens(path: Path, *, name: str, is_own: bool) -> Sequence[str]:
    """The tokens in a file, one per line.

    `name` is the file's name in errors. `is_own` marks the token of a data folder: a plain file of this user with mode 0600.
    Raises ConfigurationError, which never contains the token.
    """
    tokens = []
    for number, line in enumerate(_read(path, name=name, is_own=is_own).splitlines(), 1):
        token = line.strip()
        if not token:
            continue
        if len(token) < MIN_TOKEN_CHARS or not _TOKEN.fullmatch(token):
            raise ConfigurationError(
                f"{name}: line {number} is no token: {len(token)} characters, "
                f"wanted {MIN_TOKEN_CHARS} or more, of letters, digits and ._~+/- alone; {_MAKE_ONE}"
            )
        tokens.append(token)
    if not tokens:
        raise ConfigurationError(f"{name}: it is empty; {_MAKE_ONE}")
    return tokens


def _read(path: Path, *, name: str, is_own: bool) -> str:
    try:
        # O_NONBLOCK: opening a pipe must not block. O_NOFOLLOW: no other file must replace the own token.
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if is_own else 0))
    except OSError as exc:
        raise ConfigurationError(f"{name}: {exc.strerror}; name a file with one token a line") from exc
    try:
        status = os.fstat(opened)
        if why := _why_refused(status, is_own=is_own):
            raise ConfigurationError(f"{name}: {why}")
        data = os.read(opened, MAX_FILE_BYTES + 1)
    finally:
        os.close(opened)
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{name}: it has more than {MAX_FILE_BYTES:,} bytes; name a file with one token a line")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{name}: it is no text; name a file with one token a line") from exc


def _why_refused(status: os.stat_result, *, is_own: bool) -> str:
    """Why this file is not acceptable as a token file; empty when it is."""
    mode, owner, user = stat.S_IMODE(status.st_mode), status.st_uid, os.geteuid()
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if is_own and (owner != user or status.st_nlink != 1):
        return f"it belongs to user {owner} and has {status.st_nlink} names, wanted: user {user} and one name; delete it"
    if owner not in {user, _ROOT}:
        return f"it belongs to user {owner}, who could replace it; wanted: user {user}, or root"
    may_group_read = owner == _ROOT and not is_own
    if mode & (stat.S_IRWXO | stat.S_IWGRP | (0 if may_group_read else stat.S_IRGRP)):
        return f"other users may read or replace it (mode {mode:04o}); `chmod 600` it, and make a new token if somebody did"
    return ""
