"""The three services as processes of their own, on a real Kafka and a real OpenSearch, under unique names."""

import os
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSettings, ensure_topics
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings
from miradouro.adapters.opensearch.client import connect
from miradouro.core.errors import Unavailable
from miradouro.core.event import PhotoEvent
from miradouro.ingest.cloud_event import record_of
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.security import SecuritySettings, client_security
from miradouro.v1 import search_service_pb2_grpc

from tests.certificates import token, write_secret
from tests.e2e.command import COMMAND, START_S, Done, run
from tests.e2e.tuned import Constants, command
from tests.waiting import WAIT_S

FOUND_SOON = {"miradouro.adapters.opensearch.engine:TUNING.refresh_interval": "100ms"}
Record = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]


def eventually(what: str, holds: Callable[[], bool], *, within_s: float = WAIT_S) -> None:
    """Waits until `holds`, through errors that pass; fails telling `what` otherwise."""
    deadline = time.monotonic() + within_s

    def holds_now() -> bool:
        try:
            return holds()
        except Unavailable:  # the shards of a new index, for a moment
            return False

    while not holds_now():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)


class ServiceProcess:
    """`miradouro serve NAME`, which has printed its address; `metrics` and `page` are the URLs of these, where it has them."""

    def __init__(
        self,
        name: str,
        environment: dict[str, str],
        *options: str,
        listen: str = "127.0.0.1:0",
        log: Path | None = None,
        constants: Constants = MappingProxyType({}),
    ) -> None:
        self.name, self.metrics, self.page = name, "", ""
        values = {key: environment.get(f"MIRADOURO_{key.upper()}", "") for key in SecuritySettings.model_fields}
        self.security = client_security(SecuritySettings(**values))
        errors = log.open("w") if log else None
        self.process = subprocess.Popen(
            [*(command(constants) if constants else [COMMAND]), "serve", name, "--listen", listen, *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
        )
        if errors is not None:
            errors.close()
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()).startswith(("metrics on", "health on")):
            self.metrics = line.split()[-1] if line.startswith("metrics") else self.metrics
        assert " on " in line, f"serve {name} printed {line!r}"
        self.address = line.split(" on ")[1].split()[0]
        if name == "query" and environment.get("MIRADOURO_HTTP_LISTEN") != "off":
            self.page = self.process.stdout.readline().split()[-1]

    def channel(self) -> grpc.Channel:
        """A channel to it, as one of the services opens it."""
        return open_channel(self.address, security=self.security)

    def get(self, path: str) -> bytes:
        """What its HTTP door answers to a caller with the token."""
        assert self.security.tokens is not None
        request = urllib.request.Request(
            f"{self.page.rstrip('/')}{path}", headers={"Authorization": f"Bearer {self.security.tokens.first}"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            body: bytes = reply.read()
        return body

    def is_ready(self) -> bool:
        """Whether its health check answers SERVING."""
        with self.channel() as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal and waits; gives the exit status."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(START_S)


@dataclass
class Deployment:
    """What a test works with. `environment` and `constants` (see `tuned`) are those of the services."""

    kafka: KafkaSettings
    opensearch: OpenSearchSettings
    environment: dict[str, str]
    constants: dict[str, object]
    producer: KafkaProducer
    index: OpenSearchIndex
    dead_letters: KafkaDeadLetters
    services: ExitStack

    def start(
        self,
        name: str,
        *,
        listen: str = "127.0.0.1:0",
        log: Path | None = None,
        constants: Constants = MappingProxyType({}),
        **environment: str,
    ) -> ServiceProcess:
        """Starts a service, which is ended with the deployment; its log goes into the file `log`, or where ours goes."""
        own = f"miradouro.{name}."  # the other services have no such constants
        changed = {key: value for key, value in {**self.constants, **constants}.items() if key.startswith(own)}
        service = ServiceProcess(name, {**self.environment, **environment}, listen=listen, log=log, constants=changed)
        self.services.callback(lambda: service.process.poll() is None and service.end(signal.SIGKILL))
        return service

    def publish(self, *events: PhotoEvent) -> None:
        """Sends events, acknowledged by the broker."""
        self.send(*(record_of(event) for event in events))

    def send(self, *records: Record) -> None:
        """Sends records as they are."""
        sent = [
            self.producer.send(self.kafka.kafka_topic, key=key, value=value, headers=list(headers))
            for key, value, headers in records
        ]
        self.producer.flush()
        for one in sent:
            one.get(timeout=30)

    def versions(self, collection: str) -> dict[str, tuple[int, bool]]:
        """Photo id → version and whether it is deleted, as the index has it now: refreshed, since listings read by search."""
        with closing(connect(self.opensearch)) as client:
            client.indices.refresh(index=f"{self.opensearch.opensearch_prefix}*")
        if collection not in {stats.name for stats in self.index.stats()}:
            return {}
        return {state.photo_id: (state.version, state.deleted) for state in self.index.origins(collection)}

    def lag(self) -> int:
        """Records of the topic behind what the group has committed."""
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.kafka_bootstrap)
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.kafka_bootstrap)
        try:
            topic = self.kafka.kafka_topic
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            ends = consumer.end_offsets(partitions)
            [offsets] = admin.list_group_offsets(self.kafka.kafka_group).values()
            return sum(ends[one] - (offsets[one].offset if one in offsets else 0) for one in partitions)
        finally:
            consumer.close()
            admin.close()

    def audit(self, *words: object) -> Done:
        """`miradouro audit events --json` with this deployment's settings."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return run("audit", "events", "--json", *words)


@contextmanager
def deployed(kafka: str, opensearch: str, *, partitions: int = 3) -> Iterator[Deployment]:
    """Topics, a group and indices of their own; the services are started by the test."""
    name = f"t{uuid.uuid4().hex}"
    environment = {
        "MIRADOURO_KAFKA_BOOTSTRAP": kafka,
        "MIRADOURO_KAFKA_TOPIC": f"{name}.photos",
        "MIRADOURO_KAFKA_DEAD_TOPIC": f"{name}.dead",
        "MIRADOURO_KAFKA_GROUP": name,
        "MIRADOURO_KAFKA_PARTITIONS": str(partitions),
        "MIRADOURO_OPENSEARCH_URL": opensearch,
        "MIRADOURO_OPENSEARCH_PREFIX": name,
        "MIRADOURO_LOG_FORMAT": "json",
        "MIRADOURO_HTTP_LISTEN": "127.0.0.1:0",
    }
    fields = {key.removeprefix("MIRADOURO_").lower(): value for key, value in environment.items()}
    topics = KafkaSettings(**{key: value for key, value in fields.items() if key.startswith("kafka_")})  # type: ignore[arg-type] # parsed
    indices = OpenSearchSettings(**{key: value for key, value in fields.items() if key.startswith("opensearch_")})  # type: ignore[arg-type] # parsed
    ensure_topics(topics)
    with ExitStack() as stack:
        secrets = Path(stack.enter_context(TemporaryDirectory()))
        environment["MIRADOURO_TOKEN_FILE"] = str(write_secret(secrets / "token", token()))
        index = stack.enter_context(OpenSearchIndex.open(indices))
        dead_letters = stack.enter_context(KafkaDeadLetters(topics))
        producer = KafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=2 * 1024 * 1024)
        stack.callback(producer.close)
        services = stack.enter_context(ExitStack())
        made = Deployment(topics, indices, environment, dict(FOUND_SOON), producer, index, dead_letters, services)
        try:
            yield made
        finally:
            services.close()
            client = connect(indices)
            client.indices.delete(index=f"{name}.*")
            client.close()


def search_stub(service: ServiceProcess, stack: ExitStack) -> search_service_pb2_grpc.SearchServiceStub:
    """A client of the query service."""
    return search_service_pb2_grpc.SearchServiceStub(stack.enter_context(service.channel()))
