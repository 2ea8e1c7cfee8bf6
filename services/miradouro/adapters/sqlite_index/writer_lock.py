"""One writer per data folder: a lock that ends with its process, and in it who holds it."""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from miradouro.core.errors import FailedPrecondition, StoreLocked
from miradouro.runtime.private_folder import FILE_MODE

LOCK_FILE = "writer.lock"
# Someone who asks for the holder has the lock, shared, for some microseconds: a writer tries again for this long.
_PATIENCE_S = 0.3
_SIZE = 512  # written whole in one call, so that a reader never sees half of it


@dataclass(frozen=True)
class Holder:
    """The process that writes; `address` is its gRPC server's host:port, or empty; one that `will_serve` has it soon."""

    pid: int
    address: str
    will_serve: bool = False


class WriterLock:
    """The lock, held until `release` or the end of the process."""

    def __init__(self, folder: Path, *, will_serve: bool = False) -> None:
        """Takes the lock; raises StoreLocked naming the holder's pid and address."""
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
        """Tells everyone where the writer's gRPC server listens, as host:port."""
        told = json.dumps({"pid": os.getpid(), "address": address, "will_serve": self._will_serve}).encode()
        os.pwrite(self._file, told.ljust(_SIZE), 0)

    def release(self) -> None:
        """Gives the lock back."""
        os.pwrite(self._file, b" " * _SIZE, 0)
        os.close(self._file)


def read_holder(folder: Path) -> Holder | None:
    """Who writes to the data folder; None when nobody does. Takes no lock.

    Raises FailedPrecondition when the folder is closed to this user.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError as exc:
        raise FailedPrecondition(
            f"data folder {folder} is for its owner alone, and user {os.geteuid()} is not; "
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
    if not text:  # the writer has the lock and is about to write its name
        return Holder(0, "", will_serve=True)
    told = json.loads(text)
    return Holder(int(told["pid"]), str(told["address"]), bool(told.get("will_serve")))
