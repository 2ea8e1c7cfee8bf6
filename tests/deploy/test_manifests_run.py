"""The services of the `dev` overlay as local processes on a real Kafka and OpenSearch: photos in, answers out.

Command lines, environments, files of secrets, volumes, users, rights and the read-only root are the manifests'; `pod.py` lists
what is enforced. Only this differs, because one machine shares its engines: numbers of ports; addresses of Kafka and
OpenSearch, which are used without TLS; names of topics, group and indices.
"""

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kafka import KafkaProducer
from miradouro.adapters.kafka import KafkaSettings, ensure_topics
from miradouro.adapters.opensearch import OpenSearchSettings
from miradouro.adapters.opensearch.client import connect
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.development.engines import free_ports
from miradouro.ingest.cloud_event import record_of
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from tests.deploy import pod
from tests.deploy.rendering import DEPLOY, SERVICES, Container, containers, of_kind, render
from tests.e2e.command import COMMAND
from tests.pictures import jpeg

READY_S = 180.0  # for a loaded machine; it takes a few seconds
CLEAR = {  # of Kafka and OpenSearch, as this machine has them
    "MIRADOURO_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    "MIRADOURO_KAFKA_CA_FILE": "",
    "MIRADOURO_OPENSEARCH_CA_FILE": "",
}


@dataclass
class Cluster:
    """What runs: service → its process, its ports, and its log."""

    processes: dict[str, "subprocess.Popen[bytes]"]
    ports: dict[str, dict[str, int]]
    logs: dict[str, Path]
    secrets: Path
    volumes: pod.Volumes
    own: dict[str, str]

    def start(self, container: Container, log: Path) -> "subprocess.Popen[bytes]":
        """Starts a container with the settings that are other ones here."""
        changed = {key: value for key, value in self.own.items() if key in container.environment or key in NAMES}
        changed |= mapped(container, self.ports)
        return pod.start(container, self.volumes, changed=changed, hosts=list(SERVICES), log=log)

    def log_tails(self) -> str:
        """The ends of the logs."""
        return "\n".join(f"{name}: {log.read_text()[-3000:]}" for name, log in self.logs.items())

    def probe(self, container: Container, kind: str) -> bool:
        """Asks as the kubelet would."""
        asked = container.spec[kind]["grpc"]
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[container.pod]['health']}") as channel:
            try:
                request = health_pb2.HealthCheckRequest(service=asked.get("service", ""))
                response = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
            except grpc.RpcError:
                return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        """Waits for a condition; fails with the logs when it does not come true, or a service ended."""
        deadline = time.monotonic() + READY_S
        while not holds():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"{ended} ended: {self.log_tails()}"
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.log_tails()}"
            time.sleep(0.2)


@pytest.fixture
def rendered() -> list[Container]:
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("only root may make mount namespaces; the build server is")
    return list(containers(render(DEPLOY / "overlays" / "dev")))


@pytest.fixture
def cluster(rendered: list[Container], kafka: str, opensearch: str, models_dir: Path, tmp_path: Path) -> Iterator[Cluster]:
    name = f"t{uuid.uuid4().hex}"
    secrets = tmp_path / "secrets"
    subprocess.run([DEPLOY / "secrets.sh", secrets], check=True, capture_output=True)
    first = render(DEPLOY / "first-photo")
    maps = {name: one["data"] for name, one in of_kind(first, "ConfigMap").items()}
    volumes = pod.Volumes(tmp_path / "pods", secrets_of(secrets), maps)
    numbers = iter(free_ports(20))
    mains = {one.pod: one for one in rendered if not one.runs_once}
    ports = {service: {port: next(numbers) for port in mains[service].ports} for service in SERVICES}
    own = {
        **CLEAR,
        "MIRADOURO_KAFKA_BOOTSTRAP": kafka,
        "MIRADOURO_OPENSEARCH_URL": opensearch,
        "MIRADOURO_KAFKA_TOPIC": f"{name}.photos",
        "MIRADOURO_KAFKA_DEAD_TOPIC": f"{name}.dead",
        "MIRADOURO_KAFKA_GROUP": name,
        "MIRADOURO_OPENSEARCH_PREFIX": name,
    }
    made = Cluster({}, ports, {service: tmp_path / f"{service}.log" for service in SERVICES}, secrets, volumes, own)
    fill_models(models_dir, volumes.folder / "embedding" / "models", user=10001)
    ensure_topics(KafkaSettings(kafka_bootstrap=kafka, kafka_topic=f"{name}.photos", kafka_dead_topic=f"{name}.dead"))
    try:
        for container in rendered:
            log = made.logs[container.pod]
            process = made.start(container, log)
            if container.runs_once:
                assert process.wait(READY_S) == 0, log.read_text()
            else:
                made.processes[container.pod] = process
        yield made
    finally:
        for process in made.processes.values():
            pod.end(process)
        client = connect(OpenSearchSettings(opensearch_url=opensearch))
        client.indices.delete(index=f"{name}.*")
        client.close()


NAMES = {"MIRADOURO_KAFKA_TOPIC", "MIRADOURO_KAFKA_DEAD_TOPIC", "MIRADOURO_KAFKA_GROUP", "MIRADOURO_OPENSEARCH_PREFIX"}


def secrets_of(folder: Path) -> dict[str, Path]:
    """Secret → folder of its files: those of deploy/secrets.sh as its kustomization names them, and those of the operators."""
    found = {}
    for name, secret in of_kind(render(folder), "Secret").items():
        made = folder / "as-mounted" / name
        made.mkdir(parents=True)
        for key, value in secret["data"].items():
            (made / key).write_bytes(base64.b64decode(value))
        found[name] = made
    for name, key in (
        ("miradouro-ingest", "password"),
        ("miradouro-publisher", "password"),
        ("miradouro-cluster-ca-cert", "ca.crt"),
        ("opensearch-ca", "ca.crt"),
    ):
        found[name] = folder / "as-mounted" / name
        found[name].mkdir()
        shutil.copy(folder / "ca.crt" if key == "ca.crt" else folder / "token", found[name] / key)
    return found


def mapped(container: Container, ports: dict[str, dict[str, int]]) -> dict[str, str]:
    """The settings of a container that name ports, with the ports of this run in place of the manifest's."""
    changed = {}
    for setting, value in container.environment.items():
        if setting.endswith("_LISTEN"):
            [port] = [port for port, number in container.ports.items() if value.endswith(f":{number}")] or [None]
            changed[setting] = f"{value.rpartition(':')[0]}:{ports[container.pod][port] if port else 0}"
    if "MIRADOURO_EMBEDDING_ADDRESS" in container.environment:
        host = container.environment["MIRADOURO_EMBEDDING_ADDRESS"].partition(":")[0]
        changed["MIRADOURO_EMBEDDING_ADDRESS"] = f"{host}:{ports[host]['grpc']}"
    if "MIRADOURO_HTTP_HOSTS" in container.environment:
        changed["MIRADOURO_HTTP_HOSTS"] = f"localhost:{ports['query']['http']}"
    return changed


def fill_models(source: Path, target: Path, *, user: int) -> None:
    """Files as an earlier start left them: the init container finds them whole, and needs no package index."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file():
            shutil.copy(file, target)
    for made in (target, *target.iterdir()):
        os.chown(made, user, user)


def test_the_dev_overlay_takes_a_photo_and_answers(
    cluster: Cluster, rendered: list[Container], kafka: str, tmp_path: Path
) -> None:
    mains = {one.pod: one for one in rendered if not one.runs_once}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        cluster.wait(f"{kind}s", lambda kind=kind: all(cluster.probe(container, kind) for container in mains.values()))

    for service, container in mains.items():
        found = pod.confinement(cluster.processes[service])
        assert found["Uid"].split() == found["Gid"].split() == ["10001"] * 4, service
        assert (found["Groups"], found["NoNewPrivs"], int(found["CapEff"], 16), int(found["CapBnd"], 16)) == ("10001", "1", 0, 0)
        writable = {target for target, mode in found.items() if mode == "rw" and target.startswith("/") and target not in KERNELS}
        emptied = {volume["name"] for volume in container.pod_spec["volumes"] if "emptyDir" in volume}
        mounts = [mount for mount in container.spec["volumeMounts"] if not mount.get("readOnly") and mount["name"] in emptied]
        assert writable == {mount["mountPath"] for mount in mounts}, service
        assert found["/"] == "ro"

    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    for number in range(3):
        event = PhotoEvent(
            f"e{number}", EventKind.UPLOADED, "town", f"{number}.jpg", 1, data=jpeg(seed=number), caption=f"caption{number}"
        )
        key, value, headers = record_of(event)
        producer.send(cluster.own["MIRADOURO_KAFKA_TOPIC"], key=key, value=value, headers=headers).get(timeout=30)
    producer.close()

    [job] = containers(render(DEPLOY / "first-photo"))
    log = tmp_path / "first-photo.log"
    assert cluster.start(job, log).wait(READY_S) == 0, log.read_text()

    token = (cluster.secrets / "token").read_text().strip()
    authority = (cluster.secrets / "ca.crt").read_bytes()
    bearer = (("authorization", f"Bearer {token}"),)
    with grpc.secure_channel(f"localhost:{cluster.ports['query']['grpc']}", grpc.ssl_channel_credentials(authority)) as channel:
        search = SearchServiceStub(channel).Search

        def hits(request: pb.SearchRequest) -> list[str]:
            try:
                return [hit.photo_id for hit in search(request, metadata=bearer, timeout=30).hits]
            except grpc.RpcError:  # no collection yet
                return []

        by_words = pb.SearchRequest(collection="town", text=pb.TextQuery(text="caption1"))
        cluster.wait("the photo is found by words", lambda: hits(by_words) == ["1.jpg"])
        like = pb.SearchRequest(collection="town", photo=pb.ExampleQuery(data=jpeg(seed=2)), limit=1)
        cluster.wait("the photo is found by its look, through query and embedding", lambda: hits(like) == ["2.jpg"])
        hill = pb.SearchRequest(collection="first", text=pb.TextQuery(text="hill"))
        cluster.wait("README's first photo is found", lambda: hits(hill) == ["hill.png"])
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            search(by_words, timeout=30)

    client = {"MIRADOURO_TLS_CA_FILE": str(cluster.secrets / "ca.crt"), "MIRADOURO_TOKEN_FILE": str(cluster.secrets / "token")}
    words = ["search", "--server", f"localhost:{cluster.ports['query']['grpc']}", "--collection", "first", "--text", "hill"]
    shown = subprocess.run([COMMAND, *words], capture_output=True, text=True, env={**os.environ, **client})
    assert "hill.png" in shown.stdout, shown.stderr

    page = f"https://localhost:{cluster.ports['query']['http']}/v1/search"
    request = urllib.request.Request(page, json.dumps({"collection": "town", "text": {"text": "caption0"}}).encode())
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, context=ssl.create_default_context(cadata=authority.decode())) as answer:
        assert [hit["photoId"] for hit in json.load(answer)["hits"]] == ["0.jpg"]

    served = {service: metrics(cluster.ports[service]["metrics"]) for service in SERVICES}
    assert names_in_alerts() <= set().union(*served.values()), "a metric of an alert or scaler that no service serves"

    assert {service: pod.end(process) for service, process in cluster.processes.items()} == dict.fromkeys(SERVICES, 0), (
        cluster.log_tails()
    )
    logs = cluster.log_tails()
    assert token not in logs
    assert "Traceback" not in logs


KERNELS = {"/proc", "/sys", "/dev"}


def metrics(port: int) -> set[str]:
    """The names of the metrics that a service serves, those without a value yet too."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.M))


def names_in_alerts() -> set[str]:
    """Metrics that production's alerts and scalers ask for, as `# TYPE` calls them."""
    found = of_kind(render(DEPLOY / "overlays" / "prod"), "PrometheusRule", "ScaledObject")
    names = set(re.findall(r"\bmiradouro_\w+", json.dumps([one["spec"] for one in found.values()]))) - {"miradouro_"}
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}
