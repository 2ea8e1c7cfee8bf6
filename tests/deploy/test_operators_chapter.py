"""The chapter for operators: its commands name files, targets, build arguments and components that are there."""

import re
from itertools import pairwise

import pytest
import yaml

from tests.deploy.rendering import COMPONENTS, DEPLOY, ROOT, SERVICES, Resource, containers, of_kind, render
from tests.documentation import TEXT, commands, section

CHAPTER = section("Operating it")
COMMANDS = commands(CHAPTER)


def after(words: list[str], *flags: str) -> list[str]:
    return [word for flag, word in pairwise(words) if flag in flags]


def test_every_command_names_existing_objects() -> None:
    seen = 0
    for words in COMMANDS:
        for folder in after(words, "-k"):
            assert folder == "build/secrets" or render(ROOT / folder), words
            seen += 1
        for file in after(words, "-f"):
            assert (ROOT / file).is_file(), words
            seen += 1
        if words[0] == "deploy/secrets.sh":
            assert (ROOT / words[0]).is_file()
        if words[0] == "docker" and "build" in words:
            for argument in after(words, "--build-arg"):
                name, value = argument.split("=")
                assert re.search(rf"^ARG {name}\b", (DEPLOY / "Dockerfile").read_text(), re.M)
                assert value in SERVICES
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    assert seen >= 6


def test_the_objects_that_commands_name_are_rendered() -> None:
    rendered = render(DEPLOY / "overlays" / "dev")
    services, deployments = of_kind(rendered, "Service"), of_kind(rendered, "Deployment")
    named = {word for words in COMMANDS for word in words if re.fullmatch(r"(service|deployment)/\w+", word)}
    assert named
    for name in named | set(re.findall(r"deployment/\w+", CHAPTER)):
        kind, _, what = name.partition("/")
        assert what in (services if kind == "service" else deployments)
    assert {word for words in COMMANDS for word in after(words, "--namespace")} == {"miradouro", "strimzi", "opensearch-operator"}


def test_every_part_and_component_is_documented() -> None:
    documented = set(re.findall(r"`([\w./-]+)`", CHAPTER))
    parts = {path.name + ("/" if path.is_dir() else "") for path in DEPLOY.iterdir()}
    assert parts <= documented
    assert set(COMPONENTS) <= documented
    assert {path.name for path in (DEPLOY / "overlays").iterdir()} <= documented


def test_metrics_and_settings_of_the_table_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "services" / "miradouro").rglob("*.py"))
    for name in set(re.findall(r"`(miradouro_[a-z_]+)`", CHAPTER)):
        assert f'"{name.removesuffix("_total")}"' in sources, name
    variables = set(re.findall(r"\b(MIRADOURO_[A-Z_]+[A-Z])\b", CHAPTER))
    assert {name for name in variables if f"| `{name}` |" not in TEXT} == set()


def test_prerequisites_are_documented() -> None:
    rendered = render(DEPLOY / "overlays" / "prod")
    assert of_kind(rendered, "HorizontalPodAutoscaler")
    assert "metrics-server" in CHAPTER, "scaling by CPU asks it"
    named = {tls["secretName"] for one in of_kind(rendered, "Ingress").values() for tls in one["spec"]["tls"]}
    for container in containers(rendered):
        named |= {volume["secret"]["secretName"] for volume in container.pod_spec["volumes"] if "secret" in volume}
    script = (DEPLOY / "secrets.sh").read_text()
    made = set(re.findall(r"^  - name: (\S+)$", script, re.M)) | set(of_kind(rendered, "KafkaUser"))
    made |= {f"{name}-cluster-ca-cert" for name in of_kind(rendered, "Kafka")}
    made |= {f"{name}-ca" for name in of_kind(rendered, "OpenSearchCluster")}
    assert "query-tls" in made
    assert {name for name in named - made if f"`{name}`" not in CHAPTER} == set()


def test_the_first_photo_uses_the_overlays_image() -> None:
    at = CHAPTER.index("kubectl apply -k deploy/first-photo")
    [job] = containers(render(DEPLOY / "first-photo"))
    image = job.spec["image"].partition(":")[0]
    assert f"(cd deploy/first-photo && kustomize edit set image {image}=" in CHAPTER[:at]


def test_the_documented_compose_command_publishes_the_event() -> None:
    [words] = [words for words in COMMANDS if "compose" in words and "run" in words]
    service, *command = words[words.index("-T") + 1 : words.index("<")]
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][service]
    assert "profiles" not in found
    assert "MIRADOURO_KAFKA_BOOTSTRAP" in found["environment"]
    assert found["image"].startswith("miradouro/")
    assert "entrypoint" not in found
    assert command == ["events", "publish", "-"]
    assert (ROOT / words[-1]).read_bytes() == (DEPLOY / "first-photo" / "event.jsonl").read_bytes()


UNITS = {"": 1.0, "m": 1e-3, "Mi": 1 / 1024, "Gi": 1.0}


def asked(resources: list[Resource], what: str) -> float:
    """The sum of requests: `cpu` in CPUs, `memory` in GiB."""

    def of(resources: Resource, times: int = 1) -> float:
        [(number, unit)] = re.findall(r"^([\d.]+)(\w*)$", str(resources["requests"][what]))
        return float(number) * UNITS[unit] * times

    total = sum(of(one.spec["resources"]) for one in containers(resources) if not one.runs_once)
    total += sum(of(one["spec"]["resources"], one["spec"]["replicas"]) for one in of_kind(resources, "KafkaNodePool").values())
    for one in of_kind(resources, "Kafka").values():
        total += sum(of(one["spec"]["entityOperator"][name]["resources"]) for name in ("topicOperator", "userOperator"))
    pools = [pool for one in of_kind(resources, "OpenSearchCluster").values() for pool in one["spec"]["nodePools"]]
    return total + sum(of(pool["resources"], pool["replicas"]) for pool in pools)


@pytest.mark.parametrize(("what", "unit"), [("cpu", "CPUs"), ("memory", "GiB")])
def test_the_size_of_dev_is_documented(what: str, unit: str) -> None:
    [row] = re.findall(r"^\| `overlays/` \|.*$", CHAPTER, re.M)
    documented = float(re.findall(rf"(\d+) {unit}", row)[0])
    needed = asked(render(DEPLOY / "overlays" / "dev"), what)
    assert documented - 1 < needed <= documented
