"""The photos that are being read, in files that outlive the process: one that ends it again and again is read no more.

A child that ends is its photo's fault, and the pool sees it. When the whole process ends (out of memory, where the system ends a
container as one; a power failure; an operator) nothing says why. So each photo has a file while a child reads it. Found at the
next start, the photo is suspect: it is read while no other photo holds memory. When the process ends during that too, the photo
is refused without being read. Files are not synced: they have to outlive the process, not the machine.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import structlog

from miradouro.adapters.photo_reader.jobs import Job
from miradouro.adapters.photo_reader.pool import ReaderPool
from miradouro.core.embedding import Priority
from miradouro.core.errors import BadPhoto, FailedPrecondition
from miradouro.runtime.private_folder import make_private

MOST_ENDS = 2  # of the process, during one photo; then it is refused
_MOST_REMEMBERED = 10_000
_ENDS_BYTES = 16 * 2**10
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Journal:
    """Runs jobs in `pool` and notes those with a key in `folder`, which is made when it is missing.

    The folder should belong to one process at a time: photos that another one reads are suspect, which costs speed alone.
    Raises FailedPrecondition (it belongs to another user) and OSError.
    """

    def __init__(self, folder: Path, pool: ReaderPool) -> None:
        self._folder, self._pool = folder, pool
        make_private(folder)
        if folder.is_symlink():  # in a temporary folder, which others write to as well, it may be anybody's
            raise FailedPrecondition(f"{folder} is a link; remove it: the photos that are being read are noted there")
        self._ends = _remembered(folder)  # by name of the file: how often the process ended during the photo
        if self._ends:
            _log.warning("the process ended while it read photos; each is read alone now", photos=len(self._ends))

    def run(self, job: Job[T], *, priority: Priority, timeout_s: float | None = None, key: str = "") -> T:
        """As ReaderPool.run. Raises BadPhoto (too_expensive) for a photo during which the process ended MOST_ENDS times."""
        if not key:
            return self._pool.run(job, priority=priority, timeout_s=timeout_s)
        name = _name(key, job.data)
        ends = self._ends.get(name, 0)
        if ends >= MOST_ENDS:
            raise BadPhoto(
                "too_expensive",
                f"the process ended {ends} times while it read the photo; save it anew as a plain JPEG or PNG",
            )
        with self._noted(name, ends + 1):
            return self._pool.run(job, priority=priority, timeout_s=timeout_s, alone=ends > 0)

    @contextmanager
    def _noted(self, name: str, times: int) -> Iterator[None]:
        path = self._folder / name
        try:
            path.write_text(str(times), encoding="ascii")
        except OSError as exc:  # the photo is read all the same: a full disk stops ingest where it writes the index
            _log.warning("can't note which photo is being read", folder=str(self._folder), error=str(exc))
        try:
            yield
        finally:
            self._ends.pop(name, None)
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _name(key: str, data: bytes) -> str:
    """Of the photo and its bytes, ends and length of which will do: a file that was saved anew is another photo."""
    parts = (key.encode("utf-8", "surrogatepass"), str(len(data)).encode(), data[:_ENDS_BYTES], data[-_ENDS_BYTES:])
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _remembered(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(found) >= _MOST_REMEMBERED:
                break
            with suppress(OSError, ValueError), open(entry.path, encoding="ascii") as file:
                found[entry.name] = min(max(int(file.read(2)), 1), MOST_ENDS)
    return found
