"""`miradouro up` as a process of its own with every port open, one token for the honest client and one for each attacker."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.attacks.honest import WORD
from tests.attacks.process_size import ProcessSize, size_of
from tests.attacks.target import Target
from tests.e2e.command import COMMAND, START_S
from tests.pictures import jpeg

ATTACKERS = 8
_PHOTOS = 12
_AT_ONCE = 16  # honest questions before the attack: pools of connections and threads fill up
_SAMPLED_EVERY_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """What the attackers were answered, by status, and the most memory that the server took meanwhile, in MiB."""

    answers: dict[str, int]
    peak_mebibytes: float


@dataclass(frozen=True)
class AttackedServer:
    """The running server; `token` is the honest client's."""

    target: Target
    token: str
    attackers: tuple[str, ...]
    process: "subprocess.Popen[str]"

    def size(self) -> ProcessSize:
        """What it holds now."""
        return size_of(self.process.pid)

    def attack(self, name: str, *, seconds: float) -> Outcome:
        """Runs the attack by all attackers at once."""
        command = [sys.executable, "-m", "tests.attacks", "--attack", name, "--seconds", str(seconds)]
        targets = json.dumps([asdict(self.target), *self.attackers])
        root = Path(__file__).parents[2]
        peak = 0.0
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as attackers:
            assert attackers.stdin
            assert attackers.stdout
            attackers.stdin.write(targets)
            attackers.stdin.close()
            while attackers.poll() is None:
                peak = max(peak, self.size().mebibytes)
                time.sleep(_SAMPLED_EVERY_S)
            answers = attackers.stdout.read()
        assert attackers.returncode == 0, f"the attackers of {name} failed: standard error has it"
        return Outcome(json.loads(answers), peak)


@contextmanager
def attacked_server(
    folder: Path, *, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[AttackedServer]:
    """A server over a dozen photos below `folder`, which it watches; it must end cleanly."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for number in range(_PHOTOS):
        (photos / f"{number:02}.jpg").write_bytes(jpeg(64, 48, seed=number))
        (photos / f"{number:02}.json").write_text(json.dumps({"tags": [WORD]}))
    honest, *attackers = (secrets.token_hex(32) for _ in range(ATTACKERS + 1))
    tokens = folder / "tokens"
    tokens.touch(0o600)
    tokens.write_text("\n".join([honest, *attackers]) + "\n")
    metrics, health = _free_address(), _free_address()
    words = ["up", "--data", folder / "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--photos", photos]
    settings = {
        "MIRADOURO_BUNDLES": "efficientnet-lite0",
        "MIRADOURO_TOKEN_FILE": str(tokens),
        "MIRADOURO_METRICS_LISTEN": metrics,
        "MIRADOURO_HEALTH_LISTEN": health,
    }
    log = log or folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **settings, **(environment or {})},
        )
    try:
        assert process.stdout is not None
        address = page = ""
        while not (address and page):
            line = process.stdout.readline()
            assert line, f"it ended: {log.read_text()[-2_000:]}"
            address = line.split()[1] if line.startswith("ready: ") else address
            page = line.split()[1].split("/")[2] if line.startswith("page: ") else page
        target = Target(address, page, metrics, health, str(photos), "")
        _wait_for_photos(page, honest)
        yield AttackedServer(target, honest, tuple(attackers), process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(START_S)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
    assert process.returncode == 0, log.read_text()[-4_000:]


def _wait_for_photos(page: str, token: str) -> None:
    """Until every photo is indexed, and a question by photo has started what such questions need."""
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.monotonic() + START_S
    while True:
        with suppress(OSError):
            request = urllib.request.Request(f"http://{page}/v1/stats", headers=headers)
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                collections = json.load(answer)["collections"]
            if collections and int(collections[0]["photos"]) == _PHOTOS:
                break
        assert time.monotonic() < deadline, "the photos are not indexed"
        time.sleep(0.05)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda number: _ask(page, headers, number), range(4 * _AT_ONCE)))


def _ask(page: str, headers: Mapping[str, str], number: int) -> None:
    """A question by photo or by keyword."""
    if number % 2:
        request = urllib.request.Request(f"http://{page}/v1/search/photo", data=jpeg(640, 480), headers=headers)
    else:
        body, kind = json.dumps({"keyword": {"words": [WORD]}}).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{page}/v1/search", data=body, headers={**headers, **kind})
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=START_S) as answer:
        answer.read()


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    return f"{host}:{port}"
