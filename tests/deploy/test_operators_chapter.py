"""The README's chapter for operators: its commands name files, targets, build arguments and components that are there."""

import re
import shlex
from itertools import pairwise

from tests.deploy.rendering import COMPONENTS, DEPLOY, ROOT, SERVICES, of_kind, render

README = (ROOT / "README.md").read_text(encoding="utf-8")
[CHAPTER] = re.findall(r"^## Operating it\n(.*?)(?=^## )", README, re.M | re.S)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"^```sh\n(.*?)^```", CHAPTER, re.M | re.S)
    for line in block.splitlines()
]


def after(words: list[str], *flags: str) -> list[str]:
    return [word for flag, word in pairwise(words) if flag in flags]


def test_every_command_names_what_is_there() -> None:
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
            for told in after(words, "--build-arg"):
                name, value = told.split("=")
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


def test_every_part_and_component_is_told() -> None:
    told = set(re.findall(r"`([\w./-]+)`", CHAPTER))
    parts = {path.name + ("/" if path.is_dir() else "") for path in DEPLOY.iterdir()}
    assert parts <= told
    assert set(COMPONENTS) <= told
    assert {path.name for path in (DEPLOY / "overlays").iterdir()} <= told


def test_metrics_and_settings_of_the_table_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "services" / "miradouro").rglob("*.py"))
    for name in set(re.findall(r"`(miradouro_[a-z_]+)`", CHAPTER)):
        assert f'"{name.removesuffix("_total")}"' in sources, name
    variables = set(re.findall(r"\b(MIRADOURO_[A-Z_]+[A-Z])\b", CHAPTER))
    assert {name for name in variables if f"| `{name}` |" not in README} == set()
