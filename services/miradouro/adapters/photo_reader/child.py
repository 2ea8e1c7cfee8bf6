"""The child process that reads photos: `python -m miradouro.adapters.photo_reader.child PARENT BYTES CPU_S`.

Standard input is a socket to the parent. The process ends when the socket closes or the parent ends.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from miradouro.core.errors import InvalidArgument

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_MOST_PHOTO_BYTES = 2**31
_MOST_OPEN_FILES = 64
_MOST_RESTING_BYTES = 128 * 2**20  # a process whose heap is larger after a photo ends, which frees the memory
_TRACEBACK_CHARS = 4_096


class _Postponed(BaseException):
    """The photo needs memory that is not free now; the parent sends it again later. A BaseException: no handler swallows it."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted


def main() -> None:
    """Reads photos until the parent closes the socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the parent handles them
        signal.signal(number, signal.SIG_IGN)
    parent, address_space_bytes, cpu_s = (int(argument) for argument in sys.argv[1:4])
    _end_with(parent)
    link = socket.socket(fileno=os.dup(0))
    os.set_blocking(2, False)  # stderr drops output when the pipe is full, instead of blocking
    from miradouro.adapters.photo_reader.frames import receive_frame, send_frame
    from miradouro.core.errors import BadPhoto, InvalidArgument

    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    from miradouro.adapters.photo_reader.work import do_work

    _limit_this_process(address_space_bytes)
    send_frame(link, {"kind": "ready"})

    @contextmanager
    def reserve(size: int) -> Iterator[None]:
        if size > granted:
            send_frame(link, {"kind": "need", "bytes": size})
            answer, _ = receive_frame(link, most_bytes=0)
            if not answer["go"]:
                raise _Postponed(size)
        yield

    while True:
        try:
            message, data = receive_frame(link, most_bytes=_MOST_PHOTO_BYTES)
        except (EOFError, ConnectionError):
            return
        granted = int(message["granted"])
        _renew_cpu(cpu_s)
        ends = False
        answer: dict[str, object]
        pixels = b""
        try:
            answer, pixels = do_work(message, bytes(data), reserve)
            answer = {"kind": "done", **answer}
        except _Postponed as exc:
            answer = {"kind": "postponed", "bytes": exc.wanted}
        except BadPhoto as exc:
            answer = {"kind": "refused", "reason": exc.reason, "message": _text(exc)}
        except InvalidArgument as exc:
            answer = {"kind": "refused", "field": exc.field, "message": _text(exc)}
        except MemoryError:
            answer, ends = {"kind": "no_memory"}, True
        except Exception:  # noqa: BLE001 # a bug of this program: the parent logs it
            answer = {"kind": "failed", "traceback": traceback.format_exc()[-_TRACEBACK_CHARS:]}
        del data
        ends = ends or _resting_bytes() > _MOST_RESTING_BYTES
        send_frame(link, {**answer, "ends": ends, "cpu_s": _used_cpu_s()}, pixels)
        if ends:
            return


def _text(error: "InvalidArgument") -> str:
    """The error's message without its field, which the parent's constructor adds again."""
    return error.message.removeprefix(f"{error.field}: ").encode("utf-8", "backslashreplace").decode()


def _end_with(parent: int) -> None:
    """Ends this process with its parent: by the kernel on Linux, elsewhere when the socket closes."""
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Out of memory, the kernel kills this process before its parent, which holds the work of all callers. In a container
        # /proc may be read-only: then the kernel chooses by size.
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    if os.getppid() != parent:
        sys.exit()


def _limit_this_process(address_space_bytes: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, address_space_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES),
    ):
        resource.setrlimit(what, (most, most))


def _renew_cpu(cpu_s: int) -> None:
    """Allows `cpu_s` more seconds of CPU from now on: RLIMIT_CPU counts over the life of the process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(_used_cpu_s()) + 1 + cpu_s, hard))


def _used_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resting_bytes() -> int:
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
