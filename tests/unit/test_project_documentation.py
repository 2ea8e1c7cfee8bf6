"""The documentation is true and complete: what it names exists, and what exists is in it."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
from miradouro.bundles.catalogue import manifests
from miradouro.cli.main import cli
from miradouro.core.filter_grammar import FORMS, parse_filter
from miradouro.runtime.setting_names import NAMES

from tests.documentation import PAGES, ROOT, TEXT, commands, rows, section

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


MAX_SETTINGS = 60


def test_there_are_no_more_settings_than_the_budget() -> None:
    """A new setting replaces one: a value that no user needs to change is a constant with its reason."""
    assert len(NAMES) <= MAX_SETTINGS


def test_every_setting_has_a_description() -> None:
    described = rows(section("Settings"))
    assert {row[0].strip("`").removeprefix("MIRADOURO_") for row in described} == set(NAMES)
    assert [row[0] for row in described if not row[2].endswith(".")] == []


def functions(path: Path) -> set[str]:
    """The names of the functions of a file; methods as Class.method."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return names


def test_each_step_of_follow_one_photo_exists() -> None:
    steps = rows(section("Follow one photo"))
    assert len(steps) >= 15
    wrong = []
    for _, file, function in steps:
        path = ROOT / "services" / "miradouro" / file.strip("`")
        if not path.is_file() or function.strip("`") not in functions(path):
            wrong.append(f"{file} {function}")
    assert wrong == []


def test_every_make_command_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    named = set(re.findall(r"(?:`|^|\s)make ([a-z-]+)(?=[`\s]|$)", TEXT, re.M))
    assert {"demo", "test", "check", "bench", "accept", "protos", "lock"} <= named
    assert named <= targets


def test_every_documented_command_has_valid_options() -> None:
    examples = [words[1:] for words in commands() if words[0] == "miradouro"]
    examples += [shlex.split(words)[1:] for words in re.findall(r"`(miradouro [a-z]+(?: [a-z]+)?)`", TEXT)]
    assert len(examples) >= 10
    for words in examples:
        command: click.Command = cli
        arguments = list(words)
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), arguments[0])
            assert found is not None, words
            command, arguments = found, arguments[1:]
        command.make_parser(click.Context(command)).parse_args(args=arguments)


def test_every_filter_in_the_readme_parses() -> None:
    written = [text for row in rows(section("Ask")) for text in re.findall(r"`([^`]+:[^`]*)`", row[0])]
    assert {re.split(r"[.:]", text)[0] for text in written} == set(FORMS)
    for text in written:
        assert len(parse_filter(text)) == 1
    options = [words[words.index("--filter") + 1] for words in commands() if "--filter" in words]
    assert len(options) >= 2
    assert all(parse_filter(text) for text in options)


def options(command: click.Command) -> Iterator[tuple[str, ...]]:
    """The names of every option, of a pair like --x/--no-x both."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from options(below)
    yield from ((*one.opts, *one.secondary_opts) for one in command.params if isinstance(one, click.Option))


def test_every_option_is_documented() -> None:
    documented = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", TEXT))
    every = set(options(cli))
    assert len(every) > 50
    assert sorted(names for names in every if not documented & set(names)) == []


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in cli.list_commands(click.Context(cli)) if f"miradouro {name}" not in TEXT] == []


def test_the_build_server_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "export CI=1" in script
    assert script.splitlines()[-1] == "exec make test"
    assert ["make", "test"] in commands()


def test_every_marked_snippet_has_its_test() -> None:
    names = set(re.findall(r"^<!-- test: (.*?) -->", TEXT, re.M))
    read = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r'marked\("(\w+)"', path.read_text())}
    assert len(names) >= 6
    assert names <= read


def test_every_link_and_path_leads_somewhere() -> None:
    links = [(page, link) for page, text in PAGES.items() for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)]
    paths = re.findall(
        r"`((?:services|protos|models|requirements|tests|core|deploy|examples|benchmarks|evaluation|tools)/[A-Za-z0-9_./-]*)`",
        TEXT,
    )
    assert len(links) >= 3
    local = [(page, link) for page, link in links if not link.startswith("https://")]
    assert [f"{page.name}: {link}" for page, link in local if not (page.parent / link).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists() and not (ROOT / "services/miradouro" / path).exists()] == []


def test_every_service_is_in_the_table() -> None:
    protos = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "protos").rglob("*.proto"))
    documented = {row[0].strip("`") for row in rows(section("The services"))}
    assert set(re.findall(r"^service (\w+)", protos, re.M)) == documented


def test_every_bundle_is_documented_with_its_licence() -> None:
    assert {row[0].strip("`") for row in rows(section("Models").partition("\n## ")[0])} == {
        manifest.name for manifest in manifests()
    }
    licences = section("Licences and attribution").replace("\n  ", " ")
    for words in ("Simonyan", "Zisserman", "CC BY 4.0", "Mingxing Tan", "Quoc V. Le", "Apache-2.0", "WordNet 3.0", "timm"):
        assert words in licences


def test_every_room_is_documented() -> None:
    rooms = {path.name for path in (ROOT / "services" / "miradouro").iterdir() if path.is_dir() and path.name[0] not in "_."} - {
        "v1"
    }
    documented = section("Rooms")
    assert {room for room in rooms if f"`{room}`" not in documented and f"miradouro/{room}`" not in documented} == set()
