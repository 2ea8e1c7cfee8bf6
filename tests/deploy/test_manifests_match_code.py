"""Manifests and code name the same ports, settings, metrics, topics, images and commands, and a change on one side is seen."""

import shutil
from pathlib import Path

import pytest
from miradouro.core.thumbnail import MAX_KEPT_BYTES

from tests.deploy.code_facts import Facts, facts_of
from tests.deploy.cross_check import disagreements
from tests.deploy.rendering import COMPONENTS, DEPLOY, OVERLAYS, ROOT, SERVICES, main_containers, of_kind, render, render_with


@pytest.fixture(scope="module")
def facts() -> Facts:
    return facts_of(ROOT)


def dockerfile(root: Path = ROOT) -> str:
    return (root / "deploy" / "Dockerfile").read_text()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_agrees_with_the_code(facts: Facts, overlay: str) -> None:
    assert disagreements(render(DEPLOY / "overlays" / overlay), facts, dockerfile()) == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_alone_agrees_with_the_code(facts: Facts, component: str, tmp_path: Path) -> None:
    assert disagreements(render_with(DEPLOY, tmp_path, component=component), facts, dockerfile()) == []


def test_every_service_of_the_code_is_deployed(facts: Facts) -> None:
    assert set(facts.services) == set(SERVICES)


def test_every_setting_can_be_set_for_every_service(facts: Facts, tmp_path: Path) -> None:
    literals = [f"{name}=mine" for name in facts.settings]
    generators = [{"name": name, "behavior": "merge", "literals": literals} for name in SERVICES]
    found = main_containers(render_with(DEPLOY, tmp_path, extra={"configMapGenerator": generators}))
    for name in SERVICES:
        assert {key for key, value in found[name].environment.items() if value == "mine"} == set(facts.settings)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_thumbnail_volume_holds_twice_the_limit(overlay: str) -> None:
    pod = of_kind(render(DEPLOY / "overlays" / overlay), "Deployment")["query"]["spec"]["template"]["spec"]
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "thumbnails"]
    size, unit = volume["emptyDir"]["sizeLimit"][:-2], volume["emptyDir"]["sizeLimit"][-2:]
    assert int(size) * {"Mi": 1 << 20, "Gi": 1 << 30}[unit] >= 2 * MAX_KEPT_BYTES


# (file, old text, new text, part of the message)
MANIFEST_CHANGES = {
    "port": ("base/query.yaml", "containerPort: 7362", "containerPort: 7363", "its container's ports are"),
    "service port": ("base/embedding.yaml", "port: 50051", "port: 50052", "leads to grpc, which is another"),
    "probe": ("base/ingest.yaml", "port: 9465", "port: 9466", "asks port 9466"),
    "probed service": ("base/ingest.yaml", "service: liveness", "service: alive", "asks for alive"),
    "setting": ("base/ingest.env", "KAFKA_BOOTSTRAP", "KAFKA_BROKERS", "no setting is called MIRADOURO_KAFKA_BROKERS"),
    "address": ("base/query.env", "embedding:50051", "embedder:50051", "nothing is at embedder:50051"),
    "alert's metric": ("components/monitoring/alerts.yaml", "lag_events", "lag_records", "makes no miradouro_ingest_lag_records"),
    "alert's label": ("components/monitoring/alerts.yaml", 'status="failed"', 'state="failed"', "has no label state"),
    "alert's value": ("components/monitoring/alerts.yaml", 'status="failed"', 'status="broken"', "is never ['broken']"),
    "scaler's metric": (
        "components/autoscaling/embedding.yaml",
        "queue_tensors",
        "queue_depth",
        "embedding_queue_depth",
    ),
    "topic": ("platform/topics.yaml", "miradouro.dead", "miradouro.letters", "topics are ['miradouro.letters'"),
    "topic's size": ("platform/topics.yaml", "2097152", "1048576", "topic miradouro.photos has"),
    "group": ("components/autoscaling/ingest.yaml", "consumerGroup: miradouro", "consumerGroup: x", "scaler ingest watches"),
    "image": ("base/ingest.yaml", "image: miradouro/ingest", "image: miradouro/consumer", "makes no miradouro/consumer"),
    "version": ("base/ingest.yaml", "miradouro/ingest:", "miradouro/ingest:9", "is not of version"),
    "command": ("base/query.yaml", "[serve, query]", "[serve, search]", "`miradouro serve search` is no command"),
    "option": ("components/models-volume/embedding.yaml", "--precision", "--bits", "has no option --bits"),
    "exposed port": ("Dockerfile", "EXPOSE 7361", "EXPOSE 7360", "the image exposes [7360"),
    "mounted file": ("base/query.yaml", "mountPath: /etc/miradouro/token", "mountPath: /etc/token", "lies in no mounted folder"),
    "edge": ("components/network-policies/embedding.yaml", "port: 50051", "port: 50052", "nothing listens on 50052"),
}

CODE_CHANGES = {
    "nothing": ("query/settings.py", "7362", "7362", None),
    "port": ("query/settings.py", "127.0.0.1:7362", "127.0.0.1:7363", "MIRADOURO_QUERY_LISTEN is 127.0.0.1:7363 in the code"),
    "setting": (
        "adapters/kafka/settings.py",
        "kafka_bootstrap",
        "kafka_brokers",
        "called MIRADOURO_KAFKA_BOOTSTRAP",
    ),
    "metric": ("embedding/metrics.py", "queue_tensors", "queue_depth", "makes no miradouro_embedding_queue_tensors"),
    "topic": ("adapters/kafka/settings.py", '"miradouro.dead"', '"miradouro.letters"', "the code's are ['miradouro.letters'"),
    "command": ("cli/models.py", "def verify(", "def check(", "no command"),
}


@pytest.mark.parametrize("what", MANIFEST_CHANGES)
def test_a_change_in_the_manifests_alone_is_seen(facts: Facts, what: str, tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    file, old, new, message = MANIFEST_CHANGES[what]
    change(tmp_path / "deploy" / file, old, new)
    found = disagreements(render(tmp_path / "deploy" / "overlays" / "prod"), facts, dockerfile(tmp_path))
    assert any(message in one for one in found), found


@pytest.mark.parametrize("what", CODE_CHANGES)
def test_a_change_in_the_code_alone_is_seen(what: str, tmp_path: Path) -> None:
    for name in ("services", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file, old, new, message = CODE_CHANGES[what]
    change(tmp_path / "services" / "miradouro" / file, old, new)
    found = disagreements(render(DEPLOY / "overlays" / "prod"), facts_of(tmp_path), dockerfile())
    assert found == [] if message is None else any(message in one for one in found), found


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file} has no {old}"
    file.write_text(text.replace(old, new))
