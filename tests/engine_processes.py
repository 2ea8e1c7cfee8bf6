"""One Kafka and one OpenSearch for a whole run of pytest, whichever of its processes asks first.

`MIRADOURO_TEST_KAFKA` (host:port) and `MIRADOURO_TEST_OPENSEARCH` (URL) name others instead. Tests share them: every test takes
names of its own for topics, groups, collections and indices. Tests that harm an engine start one of their own.
"""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from miradouro.development.engines import start_kafka, start_opensearch

_FOLDER = "MIRADOURO_TEST_ENGINES_FOLDER"  # from pytest's first process to its workers
_END_TIMEOUT_S = 30.0
_held: list[object] = []  # a process object that goes while its process runs is a warning


def begin() -> None:
    """Called once by pytest's first process, before there are workers."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="miradouro-engines-")


def end() -> None:
    """Ends what was started; called by pytest's first process, after its workers."""
    folder = Path(os.environ.pop(_FOLDER))
    for told in folder.glob("*.json"):
        for pid in json.loads(told.read_text())["pids"]:
            _end_process(pid)
    shutil.rmtree(folder)


def kafka() -> str:
    """The bootstrap address of a running Kafka."""
    return os.environ.get("MIRADOURO_TEST_KAFKA") or _started("kafka", _start_kafka)


def opensearch() -> str:
    """The URL of a running OpenSearch with k-NN."""
    return os.environ.get("MIRADOURO_TEST_OPENSEARCH") or _started("opensearch", _start_opensearch)


def _start_kafka(folder: Path) -> tuple[str, list[int]]:
    cluster = start_kafka(folder)
    _held.append(cluster)
    return cluster.bootstrap, [broker.pid for broker in cluster.brokers]


def _start_opensearch(folder: Path) -> tuple[str, list[int]]:
    node = start_opensearch(folder)
    _held.append(node)
    return node.url, [node.pid]


def _started(name: str, start: Callable[[Path], tuple[str, list[int]]]) -> str:
    folder = Path(os.environ[_FOLDER])
    told = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            address, pids = start(folder / name)
            told.write_text(json.dumps({"address": address, "pids": pids}))
    return str(json.loads(told.read_text())["address"])


def _end_process(pid: int) -> None:
    """Ends a process that a worker started, which may have ended since; it is nobody's child any more, or ours."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):  # a worker's child: init takes care of it
                os.waitpid(pid, os.WNOHANG)
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
