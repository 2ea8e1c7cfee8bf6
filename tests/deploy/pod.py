"""A container of a manifest as a local process: its command, environment, volumes and rights, without a container runtime.

The process gets a mount namespace of its own, in which it sees a root file system made of this machine's system folders, Python
and the repository, all of them read-only, and of the volumes of the manifest at the manifest's paths. It runs as the manifest's
user and groups, without any capability, and can't gain one. Needs root and util-linux. Not enforced: seccomp, limits of CPU and
memory, and a network of its own, so the caller maps the ports.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.rendering import DEPLOY, ROOT, Container

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ssl", "/proc", "/sys", "/dev")
END_S = 60.0


@dataclass(frozen=True)
class Volumes:
    """Where volumes come from: `secrets` maps a secret's name to a folder of its files, `maps` a ConfigMap's to its data.

    The rest is made in `folder`.
    """

    folder: Path
    secrets: Mapping[str, Path]
    maps: Mapping[str, Mapping[str, str]]

    def source(self, pod: str, volume: dict[str, object], *, user: int) -> Path:
        """The folder that is mounted for a volume; an emptyDir is one folder for all containers of a pod."""
        if "emptyDir" in volume:
            made = self.folder / pod / str(volume["name"])
            made.mkdir(parents=True, exist_ok=True)
            os.chown(made, user, user)
            return made
        if "configMap" in volume:
            made = self.folder / pod / f"map-{volume['name']}"
            made.mkdir(parents=True, exist_ok=True)
            for name, text in self.maps[volume["configMap"]["name"]].items():  # type: ignore[index] # a mapping
                (made / name).write_text(text)
            return made
        secret = volume["secret"]
        assert isinstance(secret, dict)
        made = self.folder / pod / f"secret-{volume['name']}"
        made.mkdir(parents=True, exist_ok=True)
        found = self.secrets.get(secret["secretName"])
        assert found or secret.get("optional"), f"no secret {secret['secretName']}"
        for file in found.iterdir() if found else ():
            if file.name in {item["key"] for item in secret.get("items", [])} or "items" not in secret:
                target = made / file.name
                target.write_bytes(file.read_bytes())
                os.chown(target, 0, user)  # fsGroup
                target.chmod(secret["defaultMode"])
        return made


def image_environment() -> dict[str, str]:
    """What ENV sets in the Dockerfile's last stages."""
    [block] = re.findall(r"^ENV (PATH=.*?[^\\])$", (DEPLOY / "Dockerfile").read_text(), re.M | re.S)
    found = dict(word.split("=", 1) for word in shlex.split(block.replace("\\\n", " ")))
    return {**found, "PATH": "/usr/bin:/bin"}


def start(
    container: Container, volumes: Volumes, *, changed: Mapping[str, str], hosts: list[str], log: Path
) -> "subprocess.Popen[bytes]":
    """Starts the container's process; `changed` are settings that differ from the manifest, `hosts` names of this machine."""
    security = {**container.pod_spec["securityContext"], **container.spec["securityContext"]}
    user, group = security["runAsUser"], container.pod_spec["securityContext"]["fsGroup"]
    root = volumes.folder / container.pod / f"root-{container.name}"
    root.mkdir(parents=True)
    known = {volume["name"]: volume for volume in container.pod_spec["volumes"]}
    script = ["set -eu", "mount --make-rprivate /", f"mount -t tmpfs -o mode=0755 tmpfs {root}"]
    for folder in [*SYSTEM, sys.base_prefix, str(ROOT), sys.prefix]:
        script.append(f"if [ -L {folder} ]; then cp -P {folder} {root}{folder}; else")
        script.append(
            f"mkdir -p {root}{folder} && mount --bind {folder} {root}{folder} && mount -o remount,bind,ro {root}{folder}; fi"
        )
    lines = " ".join(["localhost", *hosts])
    script.append(f"echo '127.0.0.1 {lines}' > {root}/etc/hosts")
    for mount in container.spec["volumeMounts"]:
        target = f"{root}{mount['mountPath']}"
        script.append(
            f"mkdir -p {target} && mount --bind {volumes.source(container.pod, known[mount['name']], user=user)} {target}"
        )
        if mount.get("readOnly"):
            script.append(f"mount -o remount,bind,ro {target}")
    if security["readOnlyRootFilesystem"]:
        script.append(f"mount -o remount,ro {root}")
    rights = ["setpriv", f"--reuid={user}", f"--regid={security['runAsGroup']}", f"--groups={group}"]
    if security["capabilities"]["drop"] == ["ALL"]:
        rights += ["--inh-caps=-all", "--bounding-set=-all"]
    if security["allowPrivilegeEscalation"] is False:
        rights.append("--no-new-privs")
    environment = {**image_environment(), **container.environment, **changed}
    words = [*rights, "env", "-i", *(f"{name}={value}" for name, value in environment.items())]
    words += [str(Path(sys.executable).with_name("miradouro")), *container.arguments]
    script.append(f"exec chroot {root} {shlex.join(words)}")
    with log.open("ab") as out:
        return subprocess.Popen(["unshare", "--mount", "sh", "-c", "\n".join(script)], stdout=out, stderr=out, cwd="/")


def confinement(process: "subprocess.Popen[bytes]") -> dict[str, str]:
    """The kernel's view of a process: its user, groups, capabilities, and how its file systems are mounted."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    found = {name: status[name].strip() for name in ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs")}
    for line in Path(f"/proc/{process.pid}/mounts").read_text().splitlines():
        _, target, _, options, *_ = line.split()
        found[target] = options.split(",")[0]
    return found


def end(process: "subprocess.Popen[bytes]") -> int:
    """SIGTERM, as the kubelet sends it; gives the exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
