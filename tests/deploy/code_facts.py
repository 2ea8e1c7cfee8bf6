"""What the code has that manifests name, read from the package that Python finds first: run as a program, it prints JSON.

Settings and commands are imported; metrics are read from the source, for they come into being with the services.
"""

import ast
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

METRIC_TYPES = {"Counter": ["_total"], "Gauge": [""], "Histogram": ["_bucket", "_count", "_sum"], "Info": ["_info"]}


@dataclass(frozen=True)
class Facts:
    """`settings`: variable → default. `samples`: name of a time series → its labels. `services`: words after `serve`.

    `commands`: "models pull" → its options. `topics`: name → configuration. `literals`: every short string of the source.
    """

    version: str
    settings: dict[str, str]
    samples: dict[str, list[str]]
    services: list[str]
    commands: dict[str, list[str]]
    topics: dict[str, dict[str, str]]
    rpcs: list[str]
    literals: list[str]


def facts_of(root: Path) -> Facts:
    """The facts of the repository in `root`, which may be a copy. Fails when its package can't be imported."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.code_facts", str(root)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(root / "services")},
    )
    assert done.returncode == 0, done.stderr
    return Facts(**json.loads(done.stdout))


def _facts(root: Path) -> Facts:
    import click
    import miradouro

    assert Path(miradouro.__file__).is_relative_to(root), f"{miradouro.__file__} is not in {root}"
    from miradouro.adapters.kafka import KafkaSettings
    from miradouro.adapters.kafka.topics import wanted_topics
    from miradouro.cli.main import cli
    from miradouro.runtime.settings import Settings, table

    for module in pkgutil.walk_packages(miradouro.__path__, "miradouro."):
        importlib.import_module(module.name)
    classes, waiting = [], [Settings]
    while waiting:
        cls = waiting.pop()
        classes.append(cls)
        waiting += cls.__subclasses__()
    commands: dict[str, list[str]] = {}

    def walk(command: click.Command, words: tuple[str, ...]) -> None:
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                found = command.get_command(click.Context(command), name)
                assert found is not None
                walk(found, (*words, name))
        else:
            commands[" ".join(words)] = [name for option in command.params for name in option.opts]

    walk(cli, ())
    source = Path(miradouro.__file__).parent
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(source.rglob("*.py"))]
    from miradouro.v1 import embedding_service_pb2, ingest_service_pb2, search_service_pb2

    described = (embedding_service_pb2.DESCRIPTOR, ingest_service_pb2.DESCRIPTOR, search_service_pb2.DESCRIPTOR)
    return Facts(
        version=tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"],
        settings={row.variable: row.default for row in table(*classes)},
        samples={name: labels for tree in trees for name, labels in _samples(tree)},
        services=[name.removeprefix("serve ") for name in commands if name.startswith("serve ")],
        commands=commands,
        topics=wanted_topics(KafkaSettings.model_construct()),
        rpcs=[method.name for file in described for service in file.services_by_name.values() for method in service.methods],
        literals=sorted(
            {
                node.value
                for tree in trees
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40
            }
        ),
    )


def _samples(tree: ast.AST) -> list[tuple[str, list[str]]]:
    """The time series of the metrics that a module makes, each with its labels."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        kind = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        texts = [argument.value for argument in call.args[:2] if isinstance(argument, ast.Constant)]
        if kind in METRIC_TYPES and len(texts) == 2 and str(texts[0]).startswith("miradouro_"):
            named = [keyword.value for keyword in call.keywords if keyword.arg == "labelnames"]
            tuples = [one for one in [*call.args[2:3], *named] if isinstance(one, ast.Tuple | ast.List)]
            labels = [item.value for one in tuples for item in one.elts if isinstance(item, ast.Constant)]
            labels += ["le"] if kind == "Histogram" else []
            found += [
                (f"{str(texts[0]).removesuffix('_total')}{suffix}", [str(label) for label in labels])
                for suffix in METRIC_TYPES[kind]
            ]
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(_facts(Path(sys.argv[1]).resolve()))))
