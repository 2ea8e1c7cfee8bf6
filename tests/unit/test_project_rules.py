"""What the repository promises about itself."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
GENERATED = "services/miradouro/v1/"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"}
BASE_OF_KUSTOMIZE = "deploy/base/"  # its own word
# Split, so that this file does not find itself.
REGISTRY_HOSTS = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "np" + r"mjs\.",
            "mav" + r"en\.org",
            "crat" + r"es\.io",
            "deb" + r"ian\.org",
        ]
    )
)
SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bxox[abp]-[0-9A-Za-z-]{20,}"
    r"|\bAIza[0-9A-Za-z_-]{35}\b|\bsk-[A-Za-z0-9]{32,}\b"
)
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".gif", ".bmp", ".tif", ".tiff"}


def tracked() -> list[str]:
    """The files of the repository, and those that are about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in tracked()}


def test_no_source_file_exceeds_400_lines(texts: dict[str, str]) -> None:
    sources = {name: text for name, text in texts.items() if name.endswith((".py", ".proto", ".j2")) and GENERATED not in name}
    assert sources
    assert [f"{name}: {text.count(chr(10))}" for name, text in sources.items() if text.count("\n") > MAX_LINES] == []


def test_every_file_has_a_meaningful_name() -> None:
    parts = {name: Path(name.removeprefix(BASE_OF_KUSTOMIZE)).with_suffix("").parts for name in tracked()}
    assert parts
    assert [name for name, words in parts.items() if FORBIDDEN_NAMES & set(words)] == []


def test_no_file_names_a_package_registrys_host(texts: dict[str, str]) -> None:
    assert REGISTRY_HOSTS.search("https://" + "py" + "pi.org/simple")
    assert [name for name, text in texts.items() if REGISTRY_HOSTS.search(text)] == []


def test_no_file_holds_a_secret(texts: dict[str, str]) -> None:
    assert SECRETS.search("-----BEGIN " + "PRIVATE KEY-----")
    assert [name for name, text in texts.items() if SECRETS.search(text)] == []


def test_no_photo_is_committed() -> None:
    assert [name for name in tracked() if Path(name).suffix.lower() in PHOTO_SUFFIXES] == []


def test_every_lint_or_type_exception_has_its_reason(texts: dict[str, str]) -> None:
    bare = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?::\s*[A-Z0-9, ]+|\[[a-z0-9, -]+\])?\s*$")
    assert bare.search("x = 1  # " + "noqa: F401")
    assert not bare.search("x = 1  # " + "noqa: F401 # the reason")
    python = {name: text for name, text in texts.items() if name.endswith(".py") and GENERATED not in name}
    assert [
        f"{name}:{i}" for name, text in python.items() for i, line in enumerate(text.splitlines(), 1) if bare.search(line)
    ] == []


def test_the_two_runtimes_are_never_locked_together() -> None:
    pins = {
        path.name: set(re.findall(r"^(onnxruntime[a-z-]*)==", path.read_text(), re.M))
        for path in (ROOT / "requirements").iterdir()
    }
    assert pins == {
        "cpu.lock": {"onnxruntime"},
        "dev-cpu.lock": {"onnxruntime"},
        "gpu.lock": {"onnxruntime-gpu"},
        "sbom.lock": set(),
        "stores.lock": set(),
    }


def test_every_locked_package_has_hashes() -> None:
    for path in (ROOT / "requirements").iterdir():
        entries = re.split(r"^(?=[a-z0-9])", path.read_text(), flags=re.M)
        assert [entry.split()[0] for entry in entries if "==" in entry.split("\n")[0] and "--hash=sha256:" not in entry] == []


def test_every_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["cpu"],
        *groups["build"],
        *groups["dev"],
    ]
    names = {re.split(r"[<>=\[;! ]", line)[0].lower().replace("_", "-") for line in wanted}
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements/dev-cpu.lock").read_text(), re.M))
    assert names - locked == set()
