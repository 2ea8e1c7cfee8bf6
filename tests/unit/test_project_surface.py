"""Every option of the command and every RPC is named by some test. That the test is worth something, no program can tell."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from miradouro.cli.main import cli
from miradouro.v1 import embedding_service_pb2, ingest_service_pb2, search_service_pb2

TESTS = Path(__file__).parents[1]


@cache
def trees() -> tuple[ast.Module, ...]:
    """Every file of tests but this one."""
    files = sorted(path for path in TESTS.rglob("*.py") if path != Path(__file__))
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in files)


def words(tree: ast.Module) -> set[str]:
    """The words of a file's texts but docstrings, and its names: a command is run as words, or as the object of its name."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found.update(re.split(r"[\s=]+", node.value))
    return found


def options(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command with one of its options; of a pair like --x/--no-x the one that is not the default."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from options(below, (*path, name))
    for option in command.params:
        if isinstance(option, click.Option):
            is_pair = bool(option.secondary_opts)
            yield from ((*path, one) for one in (option.secondary_opts if is_pair and option.default else option.opts))


def test_every_option_is_named_in_a_file_of_tests_that_names_its_command() -> None:
    files = [words(tree) for tree in trees()]
    every = list(options(cli))
    assert len(every) > 80
    assert "\n".join(" ".join(one) for one in every if not any(set(one) <= file for file in files)) == ""


@pytest.mark.parametrize("module", [embedding_service_pb2, ingest_service_pb2, search_service_pb2])
def test_every_rpc_is_called_by_a_test(module) -> None:
    called = {
        node.func.attr
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    [service] = module.DESCRIPTOR.services_by_name.values()
    assert {method.name for method in service.methods} - called == set()
