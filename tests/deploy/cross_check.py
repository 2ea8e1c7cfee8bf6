"""Where manifests and code disagree. Each check gives a sentence for each disagreement, none where they agree."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser

from tests.deploy.code_facts import Facts
from tests.deploy.rendering import SERVICES, Resource, containers, main_containers, of_kind

OTHERS = {"AWS_SHARED_CREDENTIALS_FILE"}  # settings of libraries
# The port that each service is known by, and further doors: port name → setting.
DOORS = {
    "embedding": {"grpc": "MIRADOURO_EMBEDDING_LISTEN"},
    "ingest": {"grpc": "MIRADOURO_INGEST_LISTEN"},
    "query": {"grpc": "MIRADOURO_QUERY_LISTEN", "http": "MIRADOURO_HTTP_LISTEN"},
}
WATCHED = {"metrics": "MIRADOURO_METRICS_LISTEN", "health": "MIRADOURO_HEALTH_LISTEN"}
OPERATORS_PORTS = {8443, 9090, 9091}  # Strimzi's own, for its operator alone
TARGET_LABELS = {"namespace", "pod", "service", "endpoint", "job", "instance", "container"}  # what Prometheus adds


def disagreements(resources: list[Resource], facts: Facts, dockerfile: str) -> list[str]:
    """All of them."""
    checks = (settings, ports, edges, commands, images, files, metrics, kafka)
    return [message for check in checks for message in check(resources, facts, dockerfile)]


def settings(resources: list[Resource], facts: Facts, _dockerfile: str) -> Iterator[str]:
    """Every setting exists; no CPU limit is smaller than the configured number of threads."""
    for container in containers(resources):
        for name in container.environment:
            if name not in facts.settings and name not in OTHERS:
                yield f"{container}: no setting is called {name}"
    for service, container in main_containers(resources).items():
        if container.environment.get("MIRADOURO_PHOTO_PROCESSES") != str(container.spec["resources"]["limits"]["cpu"]):
            yield f"MIRADOURO_PHOTO_PROCESSES is not the CPU limit of {service}"


def ports(resources: list[Resource], facts: Facts, dockerfile: str) -> Iterator[str]:
    """Listening addresses, container ports, probes, services, the Dockerfile and the code's own defaults name the same ports."""
    for name, container in main_containers(resources).items():
        listening = {port: _port(container.environment.get(setting, "")) for port, setting in (DOORS[name] | WATCHED).items()}
        if container.ports != listening:
            yield f"{name}: listens on {listening}, its container's ports are {container.ports}"
        for port, setting in DOORS[name].items():
            if _port(facts.settings.get(setting, "")) != listening[port]:
                yield f"{name}: {setting} is {facts.settings.get(setting)} in the code, and the port {port} is {listening[port]}"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.spec[probe]["grpc"]
            if asked["port"] != listening["health"]:
                yield f"{name}: {probe} asks port {asked['port']}, health is on {listening['health']}"
            if asked.get("service", "") not in {"", *facts.literals}:
                yield f"{name}: {probe} asks for {asked['service']}, which the code does not name"
        for port in of_kind(resources, "Service")[name]["spec"]["ports"]:
            if container.ports.get(port["targetPort"]) != port["port"]:
                yield f"service {name}: port {port['port']} leads to {port['targetPort']}, which is another"
        stages = _stage(dockerfile, name) + _stage(dockerfile, "miradouro")
        exposed = {int(number) for line in re.findall(r"^EXPOSE (.+)$", stages, re.M) for number in line.split()}
        if exposed != set(container.ports.values()):
            yield f"{name}: the image exposes {sorted(exposed)}, the container has {sorted(container.ports.values())}"


def edges(resources: list[Resource], _facts: Facts, _dockerfile: str) -> Iterator[str]:
    """Who calls whom: addresses in settings, network policies, the ingress and the scraper lead to ports that are there."""
    services = of_kind(resources, "Service")
    main = main_containers(resources)
    known = {name: set(container.ports.values()) for name, container in main.items()}
    for container in containers(resources):
        if address := container.environment.get("MIRADOURO_EMBEDDING_ADDRESS"):
            host, _, port = address.rpartition(":")
            if host not in services or int(port) not in {one["port"] for one in services[host]["spec"]["ports"]}:
                yield f"{container}: nothing is at {address}"
    for name, kind, kinds, path in (
        ("MIRADOURO_KAFKA_BOOTSTRAP", "Kafka", ("Kafka",), lambda one: f"{one['metadata']['name']}-kafka-bootstrap"),
        ("MIRADOURO_OPENSEARCH_URL", "OpenSearch", ("OpenSearchCluster",), lambda one: one["spec"]["general"]["serviceName"]),
    ):
        found = of_kind(resources, *kinds).values()
        there = {f"{path(one)}:{port}" for one in found for port in _platform_ports(one)}
        for container in containers(resources):
            address = container.environment.get(name, "").removeprefix("https://")
            if found and address and address not in there:
                yield f"{container}: {name} leads to {address}, {kind} is at {sorted(there)}"
    platform = {port for one in of_kind(resources, "Kafka", "OpenSearchCluster").values() for port in _platform_ports(one)}
    for name, policy in of_kind(resources, "NetworkPolicy").items():
        receiver = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        allowed = known.get(receiver) or set().union(*known.values()) | platform | OPERATORS_PORTS
        for rule in policy["spec"].get("ingress", []) if receiver or platform else []:
            unheard = {one["port"] for one in rule.get("ports", [])} - allowed
            yield from (f"{name}: nothing listens on {port}" for port in sorted(unheard))
        for rule in policy["spec"].get("egress", []):
            for peer in rule.get("to", []):
                target = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name")
                if target and not {one["port"] for one in rule["ports"]} <= known[target]:
                    yield f"{name}: {target} does not listen there"
    for name, ingress in of_kind(resources, "Ingress").items():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                if backend["port"]["name"] not in {one["name"] for one in services[backend["name"]]["spec"]["ports"]}:
                    yield f"ingress {name}: service {backend['name']} has no port {backend['port']['name']}"
            if rule["host"] not in main["query"].environment["MIRADOURO_HTTP_HOSTS"].split(","):
                yield f"ingress {name}: {rule['host']} is not among MIRADOURO_HTTP_HOSTS"
    for monitor in of_kind(resources, "ServiceMonitor").values():
        for endpoint in monitor["spec"]["endpoints"]:
            for name in SERVICES:
                if endpoint["port"] not in {one["name"] for one in services[name]["spec"]["ports"]}:
                    yield f"service {name} has no port {endpoint['port']} to scrape"


def commands(resources: list[Resource], facts: Facts, dockerfile: str) -> Iterator[str]:
    """Command lines are the code's, and those of the image."""
    for container in containers(resources):
        words = container.arguments
        command = next((one for one in facts.commands if " ".join(words).startswith(one)), None)
        if "command" in container.spec or command is None:
            yield f"{container}: `miradouro {' '.join(words)}` is no command"
            continue
        for word in words[len(command.split()) :]:
            if word.startswith("--") and word not in facts.commands[command]:
                yield f"{container}: `miradouro {command}` has no option {word}"
        if unresolved := re.findall(r"\$\([A-Z_]+\)", " ".join(words)):
            yield f"{container}: {unresolved} is not in its environment"
        if not container.runs_once and f"CMD {json.dumps(words)}" not in _stage(dockerfile, container.pod):
            yield f"{container}: the image runs something else than {words}"


def images(resources: list[Resource], facts: Facts, dockerfile: str) -> Iterator[str]:
    """Images are called as the Dockerfile's stages and carry the version of the code."""
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M))
    for container in containers(resources):
        repository, _, tag = container.spec["image"].rpartition(":")
        if tag.removesuffix("-gpu") != facts.version:
            yield f"{container}: image {container.spec['image']} is not of version {facts.version}"
        if not repository.startswith("miradouro/") or repository.removeprefix("miradouro/") not in stages & set(facts.services):
            yield f"{container}: the Dockerfile makes no {repository}"
    if f"ARG VERSION={facts.version}\n" not in dockerfile:
        yield f"the Dockerfile's VERSION is not {facts.version}"


def files(resources: list[Resource], _facts: Facts, _dockerfile: str) -> Iterator[str]:
    """Every file and folder that a setting names is mounted, and a folder that is written to is no read-only one."""
    for container in containers(resources):
        mounts = {mount["mountPath"]: mount for mount in container.spec.get("volumeMounts", [])}
        volumes = {volume["name"]: volume for volume in container.pod_spec["volumes"]}
        for name, value in container.environment.items():
            if not name.endswith(("_FILE", "_DIR")) or (container.runs_once and "models" not in value):
                continue
            folder = str(Path(value).parent) if name.endswith("_FILE") else value
            mount = mounts.get(folder)
            if mount is None:
                yield f"{container}: {name}={value} lies in no mounted folder"
                continue
            secret = volumes[mount["name"]].get("secret", {})
            if secret.get("items") and Path(value).name not in {item["path"] for item in secret["items"]}:
                yield f"{container}: {name}={value} is not in secret {secret['secretName']}"
        for name in mounts.values():
            if name["name"] not in volumes:
                yield f"{container}: volume {name['name']} is not there"
    users = of_kind(resources, "KafkaUser")
    ingest = main_containers(resources)["ingest"]
    if users and ingest.environment["MIRADOURO_KAFKA_USERNAME"] not in users:
        yield f"no KafkaUser {ingest.environment['MIRADOURO_KAFKA_USERNAME']}"


def metrics(resources: list[Resource], facts: Facts, _dockerfile: str) -> Iterator[str]:
    """Alerts and scalers ask for time series, labels and label values that the code makes."""
    asked = [
        (rule["alert"], rule["expr"])
        for one in of_kind(resources, "PrometheusRule").values()
        for group in one["spec"]["groups"]
        for rule in group["rules"]
    ]
    asked += [
        (f"scaler {name}", trigger["metadata"]["query"])
        for name, one in of_kind(resources, "ScaledObject").items()
        for trigger in one["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    ]
    for who, expression in asked:
        names = re.findall(r"\b(miradouro_\w+)(?:\{([^}]*)\})?", expression)
        if not names and "up{" not in expression:
            yield f"{who}: asks for no metric of ours"
        promql_parser.parse(expression)
        for name, matchers in names:
            if name not in facts.samples:
                yield f"{who}: the code makes no {name}"
                continue
            for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
                if label in TARGET_LABELS:
                    continue
                if label not in facts.samples[name]:
                    yield f"{who}: {name} has no label {label}"
                unknown = set(values.split("|")) - set(facts.literals) - set(facts.rpcs) - GRPC_STATUSES
                if unknown:
                    yield f"{who}: {label} of {name} is never {sorted(unknown)}"


GRPC_STATUSES = {"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"}


def kafka(resources: list[Resource], facts: Facts, _dockerfile: str) -> Iterator[str]:
    """Topics are made as the code would make them; users, scalers and the consumer name the same topics and group."""
    topics = of_kind(resources, "KafkaTopic")
    if topics and set(topics) != set(facts.topics):
        yield f"topics are {sorted(topics)}, the code's are {sorted(facts.topics)}"
        return
    for name, topic in topics.items():
        if {key: str(value) for key, value in topic["spec"]["config"].items()} != facts.topics[name]:
            yield f"topic {name} has {topic['spec']['config']}, the code wants {facts.topics[name]}"
    largest = max(int(config["max.message.bytes"]) for config in facts.topics.values())
    for one in of_kind(resources, "Kafka").values():
        if one["spec"]["kafka"]["config"]["replica.fetch.max.bytes"] < largest:
            yield "brokers copy less at a time than the largest record"
    ingest = main_containers(resources)["ingest"].environment
    group = ingest.get("MIRADOURO_KAFKA_GROUP", facts.settings.get("MIRADOURO_KAFKA_GROUP"))
    topic = ingest.get("MIRADOURO_KAFKA_TOPIC", facts.settings.get("MIRADOURO_KAFKA_TOPIC"))
    for name, user in of_kind(resources, "KafkaUser").items():
        for rule in user["spec"]["authorization"]["acls"]:
            known = set(topics) if rule["resource"]["type"] == "topic" else {group}
            if rule["resource"]["name"] not in known:
                yield f"KafkaUser {name} may use {rule['resource']['name']}, which is not there"
    for name, scaled in of_kind(resources, "ScaledObject").items():
        for trigger in scaled["spec"]["triggers"]:
            metadata = trigger["metadata"]
            if trigger["type"] != "kafka":
                continue
            if (metadata["topic"], metadata["consumerGroup"]) != (topic, group):
                yield f"scaler {name} watches {metadata['topic']} of {metadata['consumerGroup']}, ingest reads {topic} as {group}"
            if metadata["bootstrapServers"] != ingest.get("MIRADOURO_KAFKA_BOOTSTRAP"):
                yield f"scaler {name} asks {metadata['bootstrapServers']}, ingest {ingest.get('MIRADOURO_KAFKA_BOOTSTRAP')}"
            if topics and scaled["spec"]["maxReplicaCount"] > topics[topic]["spec"]["partitions"]:
                yield f"scaler {name}: more consumers than partitions"


def _platform_ports(one: Resource) -> list[int]:
    if one["kind"] == "Kafka":
        return [listener["port"] for listener in one["spec"]["kafka"]["listeners"]]
    return [one["spec"]["general"]["httpPort"]]


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0


def _stage(dockerfile: str, name: str) -> str:
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", dockerfile, re.M | re.S)
    return found[1] if found else ""
