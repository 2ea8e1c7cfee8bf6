"""Records which photos are being read in files that survive the process. A photo that ends the process repeatedly is refused.

The pool handles the end of a child: its photo is the cause. The end of the whole process has no known cause: out of memory,
where the system kills a whole container; a power failure; an operator. Therefore each photo has a file while a child reads it.
When the file exists at the next start, the photo is suspect: it is read while no other photo holds memory. When the process ends
then, too, the photo is refused unread. Files are not synced: they must survive the process, not a power failure.
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

MOST_ENDS = 2  # ends of the process during one photo; then the photo is refused
_MOST_REMEMBERED = 10_000
_ENDS_BYTES = 16 * 2**10
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Journal:
    """Runs jobs in `pool` and records those with a key in `folder`, which it creates when missing.

    Use one folder per process: photos that another process is reading count as suspect, which costs only speed. Raises
    FailedPrecondition (the folder belongs to another user) and OSError.
    """

    def __init__(self, folder: Path, pool: ReaderPool) -> None:
        self._folder, self._pool = folder, pool
        make_private(folder)
        if folder.is_symlink():  # in a shared temporary folder another user may have created it
            raise FailedPrecondition(f"{folder} is a link; remove it: the photos that are being read are noted there")
        self._ends = _remembered(folder)  # file name → how often the process ended during the photo
        if self._ends:
            _log.warning("the process ended while it read photos; each is read alone now", photos=len(self._ends))

    def run(self, job: Job[T], *, priority: Priority, timeout_s: float | None = None, key: str = "") -> T:
        """See ReaderPool.run. Raises BadPhoto (too_expensive) when the process ended MOST_ENDS times during this photo."""
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
        except OSError as exc:  # read the photo anyway: on a full disk the write to the index fails and reports it
            _log.warning("can't note which photo is being read", folder=str(self._folder), error=str(exc))
        try:
            yield
        finally:
            self._ends.pop(name, None)
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _name(key: str, data: bytes) -> str:
    """A hash of the photo's key, its length and its first and last bytes: a file that was saved again is another photo."""
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
