"""Every overlay, and every component alone, is built and fits the schemas of Kubernetes and of the operators.

The OpenSearch operator's schema comes in no package: its four resources are checked for what the services need of them only.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
from miradouro.development.jars import Jdk

from tests.deploy.rendering import COMPONENTS, DEPLOY, OVERLAYS, Resource, of_kind, render, render_with

KUBERNETES = ("1.32", "1.37")  # the oldest that the manifests are for, and the newest whose schema is there
STRIMZI = Path(__file__).parent / "strimzi"
NO_SCHEMA = {"OpenSearchCluster", "OpensearchRole", "OpensearchUser", "OpensearchUserRoleBinding"}


@pytest.fixture(
    scope="module", params=[*OVERLAYS, *(f"components/{name}" for name in COMPONENTS), "base", "platform", "first-photo"]
)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Resource]:
    name: str = request.param
    if name in OVERLAYS:
        return render(DEPLOY / "overlays" / name)
    if name.startswith("components/"):
        return render_with(DEPLOY, tmp_path_factory.mktemp("alone"), component=name.removeprefix("components/"))
    return render(DEPLOY / name)


def test_every_component_and_overlay_is_tested() -> None:
    assert {path.name for path in (DEPLOY / "components").iterdir()} == set(COMPONENTS)
    assert {path.name for path in (DEPLOY / "overlays").iterdir()} == set(OVERLAYS)


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_resource_of_kubernetes_fits_its_schema(rendered: list[Resource], version: str) -> None:
    own = [one for one in rendered if "." not in one["apiVersion"].split("/")[0] or ".k8s.io/" in one["apiVersion"]]
    for one in own:
        kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_field_would_be_seen() -> None:
    deployment = of_kind(render(DEPLOY / "base"), "Deployment")["query"]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessprobe"):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


def test_names_are_unique_and_in_one_namespace(rendered: list[Resource]) -> None:
    keys = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in rendered]
    assert len(keys) == len(set(keys))
    spaces = {one["metadata"].get("namespace") for one in rendered if one["kind"] != "Namespace"}
    assert spaces == {"miradouro"}


def prometheus_and_keda_models() -> dict[str, Any]:
    from cloudcoil.models.keda import v1alpha1 as keda
    from cloudcoil.models.prometheus_operator import v1 as prometheus

    return {
        "ScaledObject": keda.ScaledObject,
        "TriggerAuthentication": keda.TriggerAuthentication,
        "ServiceMonitor": prometheus.ServiceMonitor,
        "PrometheusRule": prometheus.PrometheusRule,
    }


def test_keda_and_prometheus_resources_fit_their_models() -> None:
    models = prometheus_and_keda_models()
    found = [one for one in render(DEPLOY / "overlays" / "prod") if one["kind"] in models]
    assert {one["kind"] for one in found} == set(models)
    for one in found:
        # What the model does not know it leaves out.
        assert kept_by(models[one["kind"]], one) == one


def test_a_misspelt_field_of_keda_would_be_seen() -> None:
    one = of_kind(render(DEPLOY / "overlays" / "prod"), "ScaledObject")["ingest"]
    one["spec"]["maxReplicas"] = one["spec"].pop("maxReplicaCount")
    assert kept_by(prometheus_and_keda_models()["ScaledObject"], one) != one


def kept_by(model: Any, resource: Resource) -> Resource:
    kept: Resource = model.model_validate(resource).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return kept


def test_every_alert_is_promql() -> None:
    groups = of_kind(render(DEPLOY / "overlays" / "prod"), "PrometheusRule")["miradouro"]["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 8
    for rule in rules:
        promql_parser.parse(rule["expr"])
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["runbook"], rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]


def test_an_ingest_stall_alerts_without_lag_metrics() -> None:
    groups = of_kind(render(DEPLOY / "overlays" / "prod"), "PrometheusRule")["miradouro"]["spec"]["groups"]
    [rule] = [rule for group in groups for rule in group["rules"] if rule["alert"] == "MiradouroIngestStandsStill"]
    whole = promql_parser.parse(rule["expr"])
    either = whole.lhs.expr
    assert (str(whole.op), str(either.op)) == ("unless", "or")
    # `sum` takes the labels that `absent` makes of its matchers: `unless` compares all labels, and the other side has none.
    gone = either.rhs
    assert (str(gone.op), gone.modifier, gone.expr.func.name) == ("sum", None, "absent")
    assert gone.expr.args[0].name == "miradouro_ingest_lag_events"


@pytest.fixture(scope="module")
def unknown_to_strimzi(tmp_path_factory: pytest.TempPathFactory, jdk: Jdk) -> Any:
    """A function: resources → their fields that are missing in Strimzi's own model. Its jars come from Maven Central."""
    folder = tmp_path_factory.mktemp("strimzi")
    shutil.copy(STRIMZI / "pom.xml", folder)
    maven = shutil.which("mvn")
    assert maven, "mvn was not found: install Maven"
    command = [maven, "-B", "-q", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)

    def unknown_fields(resources: list[Resource]) -> list[str]:
        command = [jdk.java, "-cp", f"{folder}/jars/*", str(STRIMZI / "Check.java")]
        done = subprocess.run(command, input=json.dumps(resources), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return sorted(set(done.stdout.splitlines()))

    return unknown_fields


def test_kafka_resources_fit_strimzis_model(unknown_to_strimzi: Any) -> None:
    found = [one for name in OVERLAYS for one in render(DEPLOY / "overlays" / name) if "strimzi.io" in one["apiVersion"]]
    assert {one["kind"] for one in found} == {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"}
    assert unknown_to_strimzi(found) == []
    topic = next(one for one in found if one["kind"] == "KafkaTopic")
    topic["spec"]["partition"] = topic["spec"].pop("partitions")
    assert unknown_to_strimzi([topic]) == [f"KafkaTopic {topic['metadata']['name']}.Spec.partition: no such field"]


def test_no_kind_goes_unchecked() -> None:
    kinds = {(one["apiVersion"], one["kind"]) for name in OVERLAYS for one in render(DEPLOY / "overlays" / name)}
    others = {kind for version, kind in kinds if "." in version.split("/")[0] and ".k8s.io/" not in version}
    strimzi = {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"}
    assert others == set(prometheus_and_keda_models()) | strimzi | NO_SCHEMA
