"""The pool's handle of one child process: starts it, sends it jobs, ends it."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from miradouro.adapters.photo_reader.decode_memory import Share
from miradouro.adapters.photo_reader.frames import BadFrame, receive_frame, send_frame
from miradouro.adapters.photo_reader.jobs import Job, error_of
from miradouro.adapters.photo_reader.limits import MOST_TURNS, START_S, ReaderLimits
from miradouro.core.errors import BadPhoto, Internal, InvalidArgument, Unavailable

_log = structlog.get_logger(__name__)
_STDERR_BYTES = _TEXT_CHARS = 4_096  # in a log line
_SOCKET_BYTES = 2**20  # fewer context switches per photo
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "SYSTEMROOT")  # Python or a library may not load without them
T = TypeVar("T")


@dataclass(frozen=True)
class Done(Generic[T]):
    """The answer to a job: `value`, or `error` when the photo is at fault."""

    value: T | None
    error: InvalidArgument | Internal | None = None


@dataclass(frozen=True)
class Postponed:
    """The photo needs `size` bytes of memory that were not free. Nothing was decoded."""

    size: int


class ProcessEnded(Exception):
    """The process ended while it read a photo. `signal` is the signal that ended it, 0 when it exited."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}" if number else "exit")
        self.signal = number


class ReaderProcess:
    """A child process. Use it from one thread at a time; `kill` is thread-safe."""

    def __init__(self, limits: ReaderLimits) -> None:
        """Starts the process without waiting until it is ready. Raises OSError.

        The starting thread must outlive the process: the kernel ends the child together with that thread.
        """
        self._limits = limits
        self._ready = False
        self.is_reusable = True  # whether the process takes another photo after its last answer
        self._cpu_s_before = 0.0  # seconds of CPU used up to the last answer, as the child reported
        self._link, theirs = socket.socketpair()
        with theirs:
            for end in (self._link, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
            arguments = (str(os.getpid()), str(limits.address_space_bytes), str(limits.cpu_s))
            try:
                self._process = subprocess.Popen(  # noqa: S603 # a module of this package
                    [sys.executable, "-P", "-m", "miradouro.adapters.photo_reader.child", *arguments],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=_environment(),
                )
            except OSError:
                self._link.close()
                raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, job: Job[T], share: Share, *, remaining_s: Callable[[], float | None]) -> Done[T] | Postponed:
        """The child's answer. `remaining_s` returns the seconds that the caller still waits, and raises when none are left.

        After an error the process is not usable. Raises BadPhoto (too_expensive), ProcessEnded, Internal, Unavailable (it does
        not start), and the errors of `remaining_s`.
        """
        self._wait_until_ready(remaining_s)
        wall_s, began = self._limits.wall_s, time.monotonic()
        turns = 1

        def remaining_of_photo_s() -> float:
            nonlocal turns
            took_s = time.monotonic() - began
            if took_s >= turns * wall_s and turns < MOST_TURNS and self._cpu_s() - self._cpu_s_before < took_s / 2:
                turns += 1  # other processes kept the CPU busy
            left = turns * wall_s - took_s
            if left <= 0:
                raise BadPhoto(
                    "too_expensive",
                    f"reading the photo took longer than {wall_s:g} s; save it anew as a plain JPEG or PNG",
                )
            caller = remaining_s()
            return left if caller is None else min(left, caller)

        try:
            return self._exchange(job, share, remaining_of_photo_s)
        except TimeoutError:
            while True:  # the socket's timeout may expire slightly early: `remaining_of_photo_s` raises at the right time
                time.sleep(min(remaining_of_photo_s(), 0.001))
        except (EOFError, ConnectionError) as exc:
            raise self._ended() from exc
        except BadFrame as exc:
            _log.error("a process that reads photos sent a wrong answer", error=str(exc), pid=self.pid)
            raise Internal("a process that reads photos sent a wrong answer; the log has it") from exc

    def end(self) -> None:
        """Ends the process without waiting for its end. A waiting caller gets ProcessEnded."""
        self._process.kill()

    def kill(self) -> None:
        """Kills the process and waits for its end."""
        self._process.kill()
        self._process.wait()
        self._link.close()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _cpu_s(self) -> float:
        """Seconds of CPU that the child has used; infinite when the system does not report them."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return math.inf
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _exchange(self, job: Job[T], share: Share, remaining_s: Callable[[], float]) -> Done[T] | Postponed:
        send_frame(self._link, {**job.message, "granted": share.size}, job.data, remaining_s=remaining_s)
        while True:
            answer, data = receive_frame(self._link, most_bytes=job.most_bytes, remaining_s=remaining_s)
            self.is_reusable = answer.get("ends") is not True
            if isinstance(cpu_s := answer.get("cpu_s"), float):
                self._cpu_s_before = cpu_s
            match answer.get("kind"):
                case "need":
                    send_frame(self._link, {"go": share.grow(_size(answer))}, remaining_s=remaining_s)
                case "postponed":
                    return Postponed(_size(answer))
                case "done":
                    return Done(job.read(answer, data))
                case "refused":
                    return Done(None, error_of(answer))
                case "no_memory":
                    return Done(None, _no_memory(self._limits))
                case "failed":
                    _log.error("reading a photo failed", traceback=str(answer.get("traceback"))[:_TEXT_CHARS], pid=self.pid)
                    return Done(None, Internal("reading the photo failed; the log of this service has the error"))
                case kind:
                    raise BadFrame(f"kind {str(kind)[:32]!r}")

    def _wait_until_ready(self, remaining_s: Callable[[], float | None]) -> None:
        """Waits for a new child; its start does not count as time of the photo. Raises Unavailable when it does not start."""
        if self._ready:
            return
        ends_at = time.monotonic() + START_S

        def remaining_of_start_s() -> float:
            left, caller = max(ends_at - time.monotonic(), 0.001), remaining_s()
            return left if caller is None else min(left, caller)

        try:
            message, _ = receive_frame(self._link, most_bytes=0, remaining_s=remaining_of_start_s)
        except (EOFError, OSError, BadFrame) as exc:
            remaining_s()
            raise self._unstarted(exc) from exc
        if message != {"kind": "ready"}:
            raise self._unstarted(BadFrame("its first message is another"))
        self._ready = True

    def _unstarted(self, error: Exception) -> Unavailable:
        self._process.kill()
        code = self._process.wait()
        _log.error("a process that reads photos did not start", exit_code=code, error=str(error), stderr=self._stderr())
        return Unavailable(f"a process that reads photos did not start (exit code {code}); the log has its last words")

    def _ended(self) -> ProcessEnded:
        self._process.kill()
        code = self._process.wait()
        ended = ProcessEnded(max(-code, 0))
        _log.warning("a process that reads photos ended", by=str(ended), pid=self.pid, stderr=self._stderr())
        return ended

    def _stderr(self) -> str:
        """The child's output on standard error, which goes into a log field and not among this process's log lines."""
        stream = self._process.stderr
        if stream is None:
            return ""
        os.set_blocking(stream.fileno(), False)
        with suppress(BlockingIOError):
            return os.read(stream.fileno(), _STDERR_BYTES).decode(errors="backslashreplace")
        return ""


def cpu_is_spent(ended: ProcessEnded) -> bool:
    """Whether the process ended because it used up its CPU time."""
    return ended.signal == signal.SIGXCPU


def _environment() -> dict[str, str]:
    """The child's environment: enough to find Python's packages, without secrets, and with one thread per library."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    paths = [path for path in sys.path if os.path.isabs(path)]
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
    return {**kept, **single, "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(paths)}


def _size(answer: Mapping[str, Any]) -> int:
    size = answer.get("bytes")
    if isinstance(size, int) and 0 <= size < 2**48:
        return size
    raise BadFrame("a size that is none")


def _no_memory(limits: ReaderLimits) -> BadPhoto:
    return BadPhoto(
        "too_expensive",
        f"reading the photo takes more memory than the {limits.address_space_bytes // 2**20:,} MiB of its process; "
        "save it with fewer pixels",
    )
