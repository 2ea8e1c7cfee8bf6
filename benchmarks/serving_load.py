"""Load on a server: callers that ask again once they are answered, or photos that come at a rate whatever the answers are."""

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

WAITING_CALLERS = 256
SAMPLE_S = 0.2
Ask = Callable[[int, float], bool]


@dataclass(frozen=True)
class Answers:
    """Photos a second, and the 95th percentile of the time of an answer in ms."""

    rate: float
    p95_ms: float


def ask_again(ask: Ask, *, callers: int, seconds: float) -> Answers:
    """So many callers at a time. Raises RuntimeError when one is not answered."""
    times: list[float] = []
    started = time.perf_counter()

    def caller(first: int) -> None:
        number = first
        while time.perf_counter() < started + seconds:
            asked = time.perf_counter()
            if not ask(number, 120.0):
                raise RuntimeError(f"photo {number} was not answered")
            times.append(time.perf_counter() - asked)
            number += callers

    with ThreadPoolExecutor(callers) as pool:
        for future in [pool.submit(caller, number) for number in range(callers)]:
            future.result()
    return Answers(len(times) / (time.perf_counter() - started), 1000 * statistics.quantiles(times, n=20)[-1])


def goodput(ask: Ask, *, rate: float, seconds: float, deadline_s: float) -> float:
    """Photos answered within the deadline, per second, of those that come at the rate for so many seconds."""
    good = 0
    lock = threading.Lock()

    def one(number: int, due: float) -> None:
        nonlocal good
        left_s = due + deadline_s - time.perf_counter()
        if left_s > 0 and ask(number, left_s) and time.perf_counter() <= due + deadline_s:
            with lock:
                good += 1

    started = time.perf_counter()
    with ThreadPoolExecutor(WAITING_CALLERS) as pool:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, number, due)
        ended = time.perf_counter()
        pool.shutdown(wait=True)
    # Answers that come after the last photo were bought with time after it.
    return good / (min(time.perf_counter(), ended + deadline_s) - started)


def recovery_s(ask: Ask, *, usual_s: float) -> float:
    """Seconds until an answer takes no longer than twice the usual time."""
    started = time.perf_counter()
    while True:
        asked = time.perf_counter()
        answered = ask(0, 10.0)
        if answered and time.perf_counter() - asked <= 2 * usual_s:
            return asked - started
        time.sleep(0.01)


def peak_mib(pid: int, during: Callable[[], object]) -> float:
    """The most memory of a process with its children while `during` runs: proportional set size, sampled."""
    most, done = [0.0], threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            most[0] = max(most[0], sum(map(_pss_mib, family(pid))))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        during()
    finally:
        done.set()
        thread.join()
    return most[0]


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # the thread ended
    return found


def _pss_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0  # it ended
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)
