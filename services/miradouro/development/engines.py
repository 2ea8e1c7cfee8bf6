"""Kafka and OpenSearch as processes of this machine: started, awaited, stopped, killed, frozen and restarted.

The engines listen on loopback only. Each has its own ports and folder, which stay the same after a restart.
"""

import contextlib
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from miradouro.core.errors import Unavailable
from miradouro.development.jars import Jdk, find_jdk, kafka_class_path, opensearch_class_path

READY_TIMEOUT_S = 300.0  # for a loaded machine; it takes about ten seconds
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.1
_HEAPS = {"kafka": "512m", "opensearch": "1g"}
_HOST = "127.0.0.1"
_PORTS = range(20_000, 32_768)  # below those of outgoing connections


class Process(ABC):
    """One engine process in its own folder; a context manager that stops it."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id. Raises Unavailable when the process is not running."""
        if self._process is None or self._process.poll() is not None:
            raise Unavailable(f"{self._name} is not running; see {self.log_path}")
        return self._process.pid

    def start(self) -> None:
        """Starts the process and waits until it answers. Raises Unavailable with the end of its log if it does not."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        started = time.monotonic()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - started > READY_TIMEOUT_S:
                self.kill()
                last = self.log_path.read_text(errors="replace").strip().splitlines()[-5:]
                raise Unavailable(f"{self._name} did not start; {self.log_path} ends with: {' | '.join(last)}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Terminates the process; kills it if it does not end in time. Does nothing if it has already ended."""
        if self._process is None:
            return
        self.thaw()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kills the process at once, like a power failure."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        """Suspends the process: it keeps its connections and does not answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resumes a frozen process."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Starts it again on the same ports and data, after stopping it if it runs."""
        self.stop()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _answers(self) -> bool: ...


class Broker(Process):
    """One Kafka broker, which is also a controller (KRaft). `peers` are the controllers' ports, by node number."""

    def __init__(self, folder: Path, jdk: Jdk, *, number: int, port: int, peers: Mapping[int, int], cluster: str) -> None:
        super().__init__(f"Kafka broker {number}", folder)
        self._jdk, self._class_path, self.port = jdk, kafka_class_path(jdk), port
        copies = min(3, len(peers))
        settings = {
            "process.roles": "broker,controller",
            "node.id": number,
            "controller.quorum.voters": ",".join(f"{peer}@{_HOST}:{at}" for peer, at in peers.items()),
            "listeners": f"PLAINTEXT://{_HOST}:{port},CONTROLLER://{_HOST}:{peers[number]}",
            "advertised.listeners": f"PLAINTEXT://{_HOST}:{port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": folder / "data",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": 1,
        }
        self._logged = 0
        self._properties = folder / "kraft.properties"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        if not (folder / "data" / "meta.properties").exists():
            command = [jdk.java, "-cp", self._class_path, "kafka.tools.StorageTool", "format", "-t", cluster]
            command += ["-c", str(self._properties)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command line
            if done.returncode != 0:
                raise Unavailable(f"{self._name} can't make its folder {folder}: {(done.stderr or done.stdout).strip()}")

    def _command(self) -> Sequence[str]:
        heap = f"-Xmx{_HEAPS['kafka']}"
        return [self._jdk.java, heap, "-cp", self._class_path, "kafka.Kafka", str(self._properties)]

    def _answers(self) -> bool:
        # Kafka listens before it serves: "Kafka Server started" is the last line of a start, in the log of this start.
        try:
            with socket.create_connection((_HOST, self.port), timeout=1):
                return "Kafka Server started" in self._log_of_this_start()
        except OSError:
            return False

    def start(self) -> None:
        """See `Process.start`."""
        self._logged = self.log_path.stat().st_size if self.log_path.exists() else 0
        super().start()

    def _log_of_this_start(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._logged)
            return log.read().decode(errors="replace")


class OpenSearch(Process):
    """One OpenSearch node with k-NN. `settings` are node settings such as `thread_pool.write.queue_size`."""

    def __init__(self, folder: Path, jdk: Jdk, *, settings: Mapping[str, str]) -> None:
        super().__init__("OpenSearch", folder)
        self._jdk, self._class_path, self._settings = jdk, opensearch_class_path(jdk), dict(settings)
        self.port, self._transport_port = free_ports(2)
        self.url = f"http://{_HOST}:{self.port}"
        self._cluster = f"miradouro-{uuid.uuid4().hex[:8]}"  # nodes on one machine do not join each other

    def _command(self) -> Sequence[str]:
        heap = _HEAPS["opensearch"]
        flags = [f"-Xms{heap}", f"-Xmx{heap}", "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"]
        where = [str(self._folder / "node"), str(self.port), str(self._transport_port), self._cluster]
        settings = [f"{name}={value}" for name, value in self._settings.items()]
        return [self._jdk.java, *flags, "-cp", self._class_path, "Launcher", *where, *settings]

    def _answers(self) -> bool:
        try:
            health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
            with urllib.request.urlopen(health, timeout=3) as answer:  # noqa: S310 - http on loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class Kafka:
    """A Kafka cluster of one or more brokers; each operation applies to all of them."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self.brokers = tuple(brokers)
        self.bootstrap = ",".join(f"{_HOST}:{broker.port}" for broker in brokers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def log_path(self) -> Path:
        """The first broker's log."""
        return self.brokers[0].log_path

    def start(self) -> None:
        """Starts all brokers at once, since each waits for the others."""
        _together([broker.start for broker in self.brokers])

    def stop(self) -> None:
        """Terminates every broker."""
        _together([broker.stop for broker in self.brokers])

    def kill(self) -> None:
        """Kills every broker at once."""
        for broker in self.brokers:
            broker.kill()

    def freeze(self) -> None:
        """Freezes every broker."""
        for broker in self.brokers:
            broker.freeze()

    def thaw(self) -> None:
        """Resumes every broker."""
        for broker in self.brokers:
            broker.thaw()

    def restart(self) -> None:
        """Starts every broker again on the same ports and data."""
        self.stop()
        self.start()


def start_kafka(folder: Path, *, brokers: int = 1) -> Kafka:
    """A running Kafka cluster with its data below `folder`. Raises ConfigurationError (no Java, no Maven), Unavailable."""
    jdk, cluster = find_jdk(), "MkU3OEVBNTcwNTJENDM2Qg"  # any id: 16 bytes in base64
    ports = free_ports(2 * brokers)
    peers = {number + 1: port for number, port in enumerate(ports[brokers:])}
    kafka = Kafka(
        [
            Broker(folder / f"broker-{number}", jdk, number=number, port=port, peers=peers, cluster=cluster)
            for number, port in zip(peers, ports, strict=False)
        ]
    )
    try:
        kafka.start()
    except BaseException:
        kafka.kill()
        raise
    return kafka


def start_opensearch(folder: Path, *, settings: Mapping[str, str] | None = None) -> OpenSearch:
    """A running OpenSearch node with its data below `folder`; see `start_kafka`."""
    node = OpenSearch(folder, find_jdk(), settings=settings or {})
    try:
        node.start()
    except BaseException:
        node.kill()
        raise
    return node


def free_ports(count: int) -> list[int]:
    """Free ports on loopback that stay free between a stop and a restart: no outgoing connection gets one of them."""
    found: list[int] = []
    for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind((_HOST, port))
            found.append(port)
        if len(found) == count:
            return found
    raise Unavailable(f"fewer than {count} of the ports {_PORTS.start} to {_PORTS.stop - 1} are free")


def _together(calls: Sequence[Callable[[], None]]) -> None:
    """Runs the calls in parallel; raises the first error after all have ended."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result()
