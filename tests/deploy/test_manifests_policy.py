"""What every container of ours keeps to, init containers too, in every overlay and with every component."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from miradouro.runtime.server_limits import ServerLimits

from tests.deploy.rendering import (
    COMPONENTS,
    DEPLOY,
    OVERLAYS,
    SERVICES,
    Container,
    Resource,
    containers,
    main_containers,
    of_kind,
    render,
    render_with,
)

# The volumes that Pod Security `restricted` allows.
ALLOWED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
HOST_KEYS = ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace")


@pytest.fixture(scope="module", params=[*OVERLAYS, *COMPONENTS])
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Resource]:
    if request.param in OVERLAYS:
        return render(DEPLOY / "overlays" / request.param)
    return render_with(DEPLOY, tmp_path_factory.mktemp("alone"), component=request.param)


def insecure(container: Container) -> Iterator[str]:
    """What Pod Security `restricted`, and our own stricter rules, have against a container."""
    pod, own = container.pod_spec.get("securityContext", {}), container.spec.get("securityContext", {})
    both = {**pod, **own}
    if both.get("runAsNonRoot") is not True or not both.get("runAsUser"):
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "may gain privileges"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
        yield "keeps capabilities"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root file system"
    if any(container.pod_spec.get(key) for key in HOST_KEYS) or any(
        "hostPort" in port for port in container.spec.get("ports", [])
    ):
        yield "shares the host's namespaces or ports"
    if container.pod_spec.get("automountServiceAccountToken") is not False:
        yield "is handed a token of the cluster"
    for volume in container.pod_spec.get("volumes", []):
        if set(volume) - {"name"} - ALLOWED_VOLUMES:
            yield f"volume {volume['name']} is of a kind that is not allowed"


def unbounded(container: Container) -> Iterator[str]:
    """What a container lacks that the scheduler and the kubelet need."""
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in container.spec.get("resources", {}).get(kind, {}):
                yield f"no {kind} of {resource}"
    if not container.runs_once:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "grpc" not in container.spec.get(probe, {}):
                yield f"no {probe}"
        if "preStop" not in container.spec.get("lifecycle", {}):
            yield "no preStop"
    for volume in container.pod_spec.get("volumes", []):
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} may fill the node"


def unpinned(container: Container) -> Iterator[str]:
    """What is wrong with the name of a container's image."""
    if not re.fullmatch(r"[a-z0-9./-]+:[0-9][A-Za-z0-9._-]*(@sha256:[0-9a-f]{64})?", container.spec["image"]):
        yield f"image {container.spec['image']} is not pinned to a version"


def test_the_first_photo_job_is_restricted_and_pinned() -> None:
    [job] = containers(render(DEPLOY / "first-photo"))
    assert [message for rule in (insecure, unbounded, unpinned) for message in rule(job)] == []


def test_every_container_is_restricted_bounded_and_pinned(rendered: list[Resource]) -> None:
    found = list(containers(rendered))
    assert {one.pod for one in found} == set(SERVICES)
    assert any(one.runs_once for one in found)
    wrong = [f"{one}: {message}" for one in found for rule in (insecure, unbounded, unpinned) for message in rule(one)]
    assert wrong == []


@pytest.mark.parametrize(
    ("breach", "message"),
    [
        (lambda spec: spec["securityContext"].update(readOnlyRootFilesystem=False), "may write to its root file system"),
        (lambda spec: spec["securityContext"].update(capabilities={"drop": []}), "keeps capabilities"),
        (lambda spec: spec["securityContext"].update(runAsUser=0), "may run as root"),
        (lambda spec: spec["resources"].pop("limits"), "no limits of cpu"),
        (lambda spec: spec.update(image="miradouro/embedding:latest"), "is not pinned"),
    ],
)
def test_a_breach_in_an_init_container_is_detected(breach: object, message: str) -> None:
    [init] = [one for one in containers(render(DEPLOY / "base")) if one.runs_once]
    breach(init.spec)  # type: ignore[operator] # a function
    assert any(message in found for rule in (insecure, unbounded, unpinned) for found in rule(init))


def test_the_namespace_enforces_the_same(rendered: list[Resource]) -> None:
    labels = of_kind(rendered, "Namespace")["miradouro"]["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_the_operators_pods_are_restricted_too() -> None:
    rendered = render(DEPLOY / "overlays" / "prod")
    kafka = of_kind(rendered, "Kafka")["miradouro"]["spec"]
    for pod, names in ((kafka["kafka"]["template"], ["kafkaContainer"]), (kafka["entityOperator"]["template"], None)):
        assert pod["pod"]["securityContext"]["runAsNonRoot"] is True
        assert pod["pod"]["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for name in names or ["topicOperatorContainer", "userOperatorContainer"]:
            assert pod[name]["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    general = of_kind(rendered, "OpenSearchCluster")["opensearch"]["spec"]["general"]
    assert general["setVMMaxMapCount"] is False
    assert general["podSecurityContext"]["runAsNonRoot"] is True
    assert general["podSecurityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert general["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_no_secret_stands_in_clear(rendered: list[Resource]) -> None:
    assert of_kind(rendered, "Secret") == {}
    secretive = re.compile(r"PASSWORD|TOKEN|SECRET|KEY", re.I)
    for container in containers(rendered):
        named = {name: value for name, value in container.environment.items() if secretive.search(name) and not value.isdigit()}
        assert {name for name, value in named.items() if not value.startswith("/")} == set(), container
        literal = [one["name"] for one in container.spec.get("env", []) if "value" in one and secretive.search(one["name"])]
        assert literal == [], container


def test_only_its_service_reads_a_secret_file(rendered: list[Resource]) -> None:
    for container in containers(rendered):
        for volume in container.pod_spec["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, f"{container}: {volume['name']}"
        assert container.pod_spec["securityContext"]["fsGroup"] == container.pod_spec["securityContext"]["runAsGroup"]


def test_a_drain_or_rollout_never_takes_every_pod(rendered: list[Resource]) -> None:
    budgets = of_kind(rendered, "PodDisruptionBudget")
    for name in SERVICES:
        deployment = of_kind(rendered, "Deployment")[name]["spec"]
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        assert budgets[name]["spec"]["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
        assert len(deployment["template"]["spec"]["topologySpreadConstraints"]) == 2
        assert deployment["template"]["spec"]["serviceAccountName"] == name


def test_pods_get_enough_time_to_drain(rendered: list[Resource]) -> None:
    for name, container in main_containers(rendered).items():
        pause = container.spec["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert container.pod_spec["terminationGracePeriodSeconds"] >= pause + ServerLimits().shutdown_grace_s + 5, name


def test_production_has_three_of_everything_and_gpus() -> None:
    rendered = render(DEPLOY / "overlays" / "prod")
    for name, scaled in of_kind(rendered, "ScaledObject").items():
        assert scaled["spec"]["minReplicaCount"] >= 3, name
    for name, scaled in of_kind(rendered, "HorizontalPodAutoscaler").items():
        assert scaled["spec"]["minReplicas"] >= 3, name
    assert not any("replicas" in one["spec"] for one in of_kind(rendered, "Deployment").values()), "the scalers own the number"
    assert all(pool["spec"]["replicas"] >= 3 for pool in of_kind(rendered, "KafkaNodePool").values())
    assert all(topic["spec"]["replicas"] == 3 for topic in of_kind(rendered, "KafkaTopic").values())
    assert of_kind(rendered, "OpenSearchCluster")["opensearch"]["spec"]["nodePools"][0]["replicas"] == 3
    embedding = main_containers(rendered)["embedding"]
    assert embedding.spec["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert embedding.spec["image"].endswith("-gpu")


def test_all_traffic_follows_a_named_edge() -> None:
    policies = of_kind(render(DEPLOY / "overlays" / "prod"), "NetworkPolicy")
    deny = policies.pop("deny-by-default")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        assert "-to-" in name or "-among-" in name, f"{name} names no edge"
        for direction in ("ingress", "egress"):
            for rule in policy["spec"].get(direction, []):
                assert rule != {}, f"{name} allows everything"


def edge(policies: Mapping[str, Resource], direction: str, pod: Mapping[str, str], peer: Mapping[str, str], port: int) -> bool:
    """Whether policies let a pod talk to a peer in its namespace, or hear it; both are given by their labels."""
    peers = "to" if direction == "egress" else "from"
    return any(
        policy["spec"]["podSelector"].get("matchLabels", {}).items() <= pod.items()
        and any(port == one["port"] and one["protocol"] == "TCP" for one in rule.get("ports", []))
        and any(
            "podSelector" in one
            and "namespaceSelector" not in one
            and one["podSelector"].get("matchLabels", {}).items() <= peer.items()
            for one in rule.get(peers, [])
        )
        for policy in policies.values()
        for rule in policy["spec"].get(direction, [])
    )


def test_the_opensearch_operators_security_job_reaches_the_cluster() -> None:
    rendered = render(DEPLOY / "overlays" / "prod")
    policies = of_kind(rendered, "NetworkPolicy")
    [(name, cluster)] = of_kind(rendered, "OpenSearchCluster").items()
    assert cluster["spec"]["security"]["tls"]["transport"]["generate"] is True, "then the operator runs the job"
    port = cluster["spec"]["general"]["httpPort"]
    # The operator gives the job's pods no label; this one is Kubernetes' own.
    job = {"batch.kubernetes.io/job-name": f"{name}-securityconfig-update"}
    node = {"opensearch.org/opensearch-cluster": name}
    assert edge(policies, "egress", job, node, port)
    assert edge(policies, "ingress", node, job, port)
    other = {"batch.kubernetes.io/job-name": "another"}
    assert not edge(policies, "egress", other, node, port)
    assert not edge(policies, "ingress", node, other, port)


def test_strimzis_listener_policy_admits_our_peers() -> None:
    rendered = render(DEPLOY / "overlays" / "prod")
    [(name, kafka)] = of_kind(rendered, "Kafka").items()
    brokers = {"strimzi.io/cluster": name}
    for listener in kafka["spec"]["kafka"]["listeners"]:
        ours = [
            peer
            for policy in of_kind(rendered, "NetworkPolicy").values()
            if policy["spec"]["podSelector"].get("matchLabels") == brokers
            for rule in policy["spec"].get("ingress", [])
            if listener["port"] in {one["port"] for one in rule.get("ports", [])}
            for peer in rule["from"]
        ]
        assert ours
        assert sorted(map(str, listener["networkPolicyPeers"])) == sorted(map(str, ours))


def test_names_resolve_with_any_cluster_dns() -> None:
    policy = of_kind(render(DEPLOY / "overlays" / "prod"), "NetworkPolicy")["all-to-dns"]["spec"]
    assert policy["podSelector"] == {}
    [rule] = policy["egress"]
    assert {(one["protocol"], one["port"]) for one in rule["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert {"namespaceSelector": {}} in rule["to"], "pods of any namespace"
    blocks = [ipaddress.ip_network(one["ipBlock"]["cidr"]) for one in rule["to"] if "ipBlock" in one]
    # A cache on the node, a cloud's resolver, a service's address; and no address on the internet.
    for address, reached in {"169.254.20.10": True, "169.254.169.254": True, "10.96.0.10": True, "8.8.8.8": False}.items():
        assert any(ipaddress.ip_address(address) in block for block in blocks) is reached, address


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_opensearch_keeps_a_majority_without_its_first_pod(overlay: str) -> None:
    pools = of_kind(render(DEPLOY / "overlays" / overlay), "OpenSearchCluster")["opensearch"]["spec"]["nodePools"]
    assert sum(pool["replicas"] for pool in pools if "cluster_manager" in pool["roles"]) >= 3, "its operator takes no fewer"
    for pool in pools:
        [heap] = re.findall(r"-Xmx(\d+)g", pool["jvm"])
        assert pool["resources"]["limits"]["memory"] == pool["resources"]["requests"]["memory"]
        assert int(pool["resources"]["limits"]["memory"].removesuffix("Gi")) >= 2 * int(heap), "room for graphs"


def test_manifests_are_written_once() -> None:
    """One YAML per service in `base`; everything else are patches and resources of other kinds."""
    deployments = [
        path
        for path in Path(DEPLOY / "base").glob("*.yaml")
        if re.search(r"^kind: Deployment", path.read_text(), re.M) and re.search(r"^ +image:", path.read_text(), re.M)
    ]
    assert {path.stem for path in deployments} == set(SERVICES)
    images = {path for path in DEPLOY.rglob("*.yaml") if "image: miradouro/" in path.read_text()}
    assert images == {*deployments, DEPLOY / "compose.yaml", DEPLOY / "first-photo" / "publish.yaml"}
