"""The manifests as a cluster would get them: kustomize's output, and the containers in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = ("embedding", "ingest", "query")
OVERLAYS = ("dev", "prod")
COMPONENTS = ("autoscaling", "gpu", "ingress", "models-volume", "monitoring", "network-policies")
KUBECTL = Path(sys.executable).with_name("kubectl")
Resource = dict[str, Any]


@dataclass(frozen=True)
class Container:
    """A container and where it stands; `runs_once` are init containers and those of jobs.

    `environment` is what its process gets, `$(NAME)` in `arguments` is resolved.
    """

    pod: str
    name: str
    spec: Resource
    pod_spec: Resource
    runs_once: bool
    environment: dict[str, str]

    @property
    def arguments(self) -> list[str]:
        """The words behind the image's entry point."""
        words = [str(word) for word in self.spec.get("args", [])]
        for name, value in self.environment.items():
            words = [word.replace(f"$({name})", value) for word in words]
        return words

    @property
    def ports(self) -> dict[str, int]:
        """Name → number."""
        return {port["name"]: port["containerPort"] for port in self.spec.get("ports", [])}

    def __str__(self) -> str:
        return f"{self.pod}/{self.name}"


def render(folder: Path) -> list[Resource]:
    """The resources that kustomize renders from a folder, rendered once; a failure shows its output."""
    return [one for one in yaml.load_all(_text(folder), Loader=yaml.CSafeLoader) if one is not None]


@cache
def _text(folder: Path) -> str:
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", f"kustomize warns: {done.stderr}"
    return done.stdout


def render_with(deploy: Path, scratch: Path, *, component: str = "", extra: Resource | None = None) -> list[Resource]:
    """`base` with one component, and with what else a kustomization may hold; written to the folder `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    here = scratch.resolve()
    content: Resource = {"namespace": "miradouro", "resources": [os.path.relpath(deploy / "base", here)], **(extra or {})}
    if component:
        content["components"] = [os.path.relpath(deploy / "components" / component, here)]
    (scratch / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(scratch)


def of_kind(resources: list[Resource], *kinds: str) -> dict[str, Resource]:
    """Name → resource of these kinds."""
    return {one["metadata"]["name"]: one for one in resources if one["kind"] in kinds}


def containers(resources: list[Resource]) -> Iterator[Container]:
    """Every container that we run, init containers too."""
    maps = of_kind(resources, "ConfigMap")
    for name, workload in of_kind(resources, "Deployment", "Job", "StatefulSet", "DaemonSet", "CronJob").items():
        pod = workload["spec"]["template"]["spec"]
        for key in ("initContainers", "containers"):
            for spec in pod.get(key, []):
                environment: dict[str, str] = {}
                for source in spec.get("envFrom", []):
                    environment |= maps[source["configMapRef"]["name"]]["data"]
                environment |= {one["name"]: one.get("value", "") for one in spec.get("env", [])}
                yield Container(name, spec["name"], spec, pod, key == "initContainers" or workload["kind"] == "Job", environment)


def main_containers(resources: list[Resource]) -> dict[str, Container]:
    """Service → its container."""
    return {one.pod: one for one in containers(resources) if not one.runs_once and one.pod in SERVICES}
