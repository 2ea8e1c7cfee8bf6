"""The image: its Dockerfile is clean, and its build steps work in an empty folder. All of it without a Docker daemon."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.deploy.rendering import ROOT, SERVICES
from tests.documentation import TEXT

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def made_image(context: Path, made: Path) -> Path:
    """What an image holds in /opt/miradouro: the Dockerfile's steps, run in `context`."""
    places = {"/opt/miradouro": str(made / "miradouro"), "/out": str(made / "out"), "${VARIANT}": "cpu"}
    for words in build_steps():
        command = ["sh", "deploy/build.sh", *(places.get(word, word) for word in words)]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ["HOME"], "PYTHON": sys.executable}
        done = subprocess.run(command, cwd=context, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"
    return made / "miradouro"


def copy_of_the_context(folder: Path) -> Path:
    """What `docker build` would send: the tracked files that .dockerignore names again."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *kept], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def build_steps() -> list[list[str]]:
    """The calls of build.sh in the Dockerfile, in their order."""
    calls = re.findall(r"build\.sh ((?:dependencies|package|install) .+)$", DOCKERFILE, re.M)
    assert len(calls) == 3
    return [call.replace('"', "").split() for call in calls]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_each_service_is_a_stage_without_root() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M))
    assert stages >= {*SERVICES, "cpu", "gpu", "image"}
    after_user = DOCKERFILE.split("USER 10001:10001")[1]
    assert "USER" not in after_user
    assert DOCKERFILE.strip().splitlines()[-1].endswith('CMD ["miradouro", "health"]')


def test_every_base_is_pinned_to_an_exact_tag() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M))
    bases = [name for name in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M) if "$" not in name and name not in stages]
    assert len(bases) == 2
    assert all(re.search(r":\d+\.\d+\.\d+-", name) for name in bases), bases


def distributions(image: Path) -> dict[str, str]:
    """Name → version of every package."""
    [site] = (image / "lib").glob("python3.*/site-packages")
    return {canonicalize_name(one.metadata["Name"]): one.version for one in importlib.metadata.distributions(path=[str(site)])}


def locked(*names: str) -> set[tuple[str, str]]:
    """Name and version; some packages have another version for another Python."""
    texts = "".join((ROOT / "requirements" / f"{name}.lock").read_text() for name in names)
    return {(canonicalize_name(name), version) for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", texts, re.M)}


def test_the_dockerfiles_steps_make_the_documented_image(tmp_path: Path) -> None:
    """One test, for it takes a minute: packages of the lock and no others, the list of parts, the commands, the size."""
    image = made_image(copy_of_the_context(tmp_path / "context"), tmp_path)
    check(image)


def check(image: Path) -> None:
    """Fails where an image is not as it should be."""
    installed, wanted = distributions(image), locked("cpu", "stores")
    assert {"miradouro", "onnxruntime", "s3fs", "gcsfs"} <= set(installed)
    assert "setuptools" not in installed, "a build tool"
    assert set(installed.items()) - wanted == {("miradouro", installed["miradouro"])}

    parts = json.loads((image / "sbom.cdx.json").read_text())
    assert (parts["bomFormat"], parts["metadata"]["component"]["name"]) == ("CycloneDX", "miradouro")
    assert {canonicalize_name(one["name"]) for one in parts["components"]} == set(installed) - {"miradouro"}

    for service in SERVICES:
        assert run(image, "serve", service, "--help").startswith("Usage: miradouro serve")
    listed = json.loads(run(image, "models", "list", "--json"))["bundles"]
    assert {one["name"] for one in listed} >= {"efficientnet-lite0", "vgg16-conv"}

    size = sum(file.lstat().st_size for file in image.rglob("*") if file.is_file() and not file.is_symlink())
    [documented] = re.findall(r"Packages and code of a CPU image are (\d+) MB", TEXT)
    assert size / 1e6 == pytest.approx(int(documented), rel=0.1), "the documentation names another size"


def run(image: Path, *words: str) -> str:
    """What the image's command prints, far from the repository."""
    done = subprocess.run([image / "bin" / "miradouro", *words], capture_output=True, text=True, env={"HOME": "/tmp"}, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout
