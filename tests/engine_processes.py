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
import warnings
from collections.abc import Callable
from pathlib import Path

from miradouro.development.engines import Kafka, OpenSearch, start_kafka, start_opensearch

_FOLDER = "MIRADOURO_TEST_ENGINES_FOLDER"  # from pytest's first process to its workers
_END_TIMEOUT_S = 30.0
_started_here: list[Kafka | OpenSearch] = []
permitted = True  # False while a test runs that lacks the marker `engines`


def begin() -> None:
    """Called once by pytest's first process, before there are workers."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="miradouro-engines-")


def end() -> None:
    """Ends what was started; called by pytest's first process, after its workers."""
    for engine in _started_here:
        engine.stop()
    folder = Path(os.environ.pop(_FOLDER))
    for record in folder.glob("*.json"):
        for pid in json.loads(record.read_text())["pids"]:
            _end_process(pid)
    shutil.rmtree(folder)


def leave() -> None:
    """Called by pytest's workers as they end: what they started goes on for the others, and is ended by the first process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # that processes still run
        _started_here.clear()


def kafka() -> str:
    """The bootstrap address of a running Kafka."""
    _check_marker()
    return os.environ.get("MIRADOURO_TEST_KAFKA") or _started("kafka", _start_kafka)


def opensearch() -> str:
    """The URL of a running OpenSearch with k-NN."""
    _check_marker()
    return os.environ.get("MIRADOURO_TEST_OPENSEARCH") or _started("opensearch", _start_opensearch)


def _check_marker() -> None:
    if not permitted:
        raise RuntimeError("this test uses an engine without the marker `engines`: request a fixture of tests/conftest.py")


def _start_kafka(folder: Path) -> tuple[str, list[int]]:
    cluster = start_kafka(folder)
    _started_here.append(cluster)
    return cluster.bootstrap, [broker.pid for broker in cluster.brokers]


def _start_opensearch(folder: Path) -> tuple[str, list[int]]:
    node = start_opensearch(folder)
    _started_here.append(node)
    return node.url, [node.pid]


def _started(name: str, start: Callable[[Path], tuple[str, list[int]]]) -> str:
    folder = Path(os.environ[_FOLDER])
    record = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            address, pids = start(folder / name)
            record.write_text(json.dumps({"address": address, "pids": pids}))
    return str(json.loads(record.read_text())["address"])


def _end_process(pid: int) -> None:
    """Ends a process that a worker started, if it still runs; its parent has ended."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
