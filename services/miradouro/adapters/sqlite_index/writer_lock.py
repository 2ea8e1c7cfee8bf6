"""One writer per data folder: a file lock that ends with its process, and names the holder."""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from miradouro.core.errors import FailedPrecondition, StoreLocked
from miradouro.runtime.private_folder import FILE_MODE

LOCK_FILE = "writer.lock"
# `read_holder` takes the lock, shared, for some microseconds: a writer retries for this long.
_PATIENCE_S = 0.3
_SIZE = 512  # written in one call: a reader never sees half of it


@dataclass(frozen=True)
class Holder:
    """The process that writes. `address`: the host:port of its gRPC server, or empty; with `will_serve` it follows soon."""

    pid: int
    address: str
    will_serve: bool = False


class WriterLock:
    """The lock, held until `release` or the end of the process."""

    def __init__(self, folder: Path, *, will_serve: bool = False) -> None:
        """Takes the lock. Raises StoreLocked, which names the holder's pid and address."""
        self._will_serve = will_serve
        self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > give_up:
                    holder = _read(self._file)
                    os.close(self._file)
                    served = f", serving at {holder.address}: ask it there (--server {holder.address})" if holder.address else ""
                    raise StoreLocked(
                        f"data folder {folder}: process {holder.pid} writes to it{served}; "
                        "wait until it ends, stop it, or use another folder (--data)"
                    ) from exc
                time.sleep(0.01)
        self.set_address("")

    def set_address(self, address: str) -> None:
        """Publishes the host:port of the writer's gRPC server."""
        record = json.dumps({"pid": os.getpid(), "address": address, "will_serve": self._will_serve}).encode()
        os.pwrite(self._file, record.ljust(_SIZE), 0)

    def release(self) -> None:
        """Releases the lock."""
        os.pwrite(self._file, b" " * _SIZE, 0)
        os.close(self._file)


def read_holder(folder: Path) -> Holder | None:
    """The process that writes to the data folder; None without one. Keeps no lock.

    Raises FailedPrecondition when this user may not read the folder.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError as exc:
        raise FailedPrecondition(
            f"data folder {folder} is private to its owner, and user {os.geteuid()} is another; "
            "run the command as its owner, or name a folder of your own (--data)"
        ) from exc
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(file)
        return None
    finally:
        os.close(file)


def _read(file: int) -> Holder:
    text = os.pread(file, _SIZE, 0).strip()
    if not text:  # the writer has the lock, and writes its record next
        return Holder(0, "", will_serve=True)
    record = json.loads(text)
    return Holder(int(record["pid"]), str(record["address"]), bool(record.get("will_serve")))
