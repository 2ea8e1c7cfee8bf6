"""The `miradouro` command: finds the subcommand, and turns every error into one line and an exit code.

Subcommands are imported when they run: most of them need no network library, and the list of commands needs none.
"""

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from miradouro.cli.exit_status import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from miradouro.core.error_text import error_text, shown
from miradouro.core.errors import MiradouroError
from miradouro.core.printable import printable

# Name → (module with a click command or group of that name, what it does in a few words).
COMMANDS = {
    "index": ("miradouro.cli.index", "Bring a collection in line with a folder of photos."),
    "search": ("miradouro.cli.search", "Find photos by tag, by words, by an example or by an indexed photo."),
    "embed": ("miradouro.cli.embed", "Print the vectors and tags of photos."),
    "failures": ("miradouro.cli.failures", "List the photos that could not be indexed, and why."),
    "retry": ("miradouro.cli.retry", "Try again what could not be indexed."),
    "stats": ("miradouro.cli.stats", "Count what every collection holds."),
    "snapshot": ("miradouro.cli.snapshot", "Copy the index into one file, while it is in use."),
    "restore": ("miradouro.cli.restore", "Make a data folder from a snapshot."),
    "up": ("miradouro.cli.up", "Run all services in one process."),
    "demo": ("miradouro.cli.demo", "Index sample photos, ask one question of each kind, show the answers."),
    "serve": ("miradouro.cli.serve", "Run one service."),
    "health": ("miradouro.cli.health", "Ask a running service whether it would answer."),
    "events": ("miradouro.cli.events", "Publish photo events to Kafka, and print their schema."),
    "audit": ("miradouro.cli.audit", "Prove that the index holds every event of Kafka."),
    "backfill": ("miradouro.cli.backfill", "Publish an event for every photo of a folder or bucket."),
    "keywords": ("miradouro.cli.keywords", "Learn keywords from people's tags, and tag photos with them."),
    "models": ("miradouro.cli.models", "List, pull, verify and describe bundles."),
    "plan": ("miradouro.cli.plan", "Estimate the machines and disks that so many photos need."),
    "dev": ("miradouro.cli.dev", "Run Kafka and OpenSearch here, for development."),
    "pipeline": ("miradouro.cli.pipeline", "Show the steps that a photo goes through."),
}

_EXTRAS = {"kafka": "kafka", "opensearchpy": "opensearch"}  # top-level module → the extra of this package that brings it


class _Commands(click.Group):
    """Subcommands by name, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click calls it so
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 # click calls it so
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"No such command {shown(args[0])}. Did you mean {near[0]!r}?", ctx) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 # click calls it so
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="miradouro", prog_name="miradouro")
def cli() -> None:
    """A search engine for photos that looks at the pictures."""
    from miradouro.runtime.file_handles import raise_file_limit
    from miradouro.runtime.freed_memory import return_freed_memory
    from miradouro.runtime.known_settings import check_names  # here: the list of commands needs no settings

    check_names(os.environ)
    raise_file_limit()
    return_freed_memory()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and ends the process: 0 done, 1 failed, 2 wrong usage, 3 some of it failed, 130 interrupted."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines on standard error; our errors contain the same
    try:
        code = cli.main(arguments, prog_name="miradouro", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        code = EXIT_USAGE
    except click.UsageError as exc:
        command = exc.ctx.command_path if exc.ctx else _named_command(arguments)
        message = exc.format_message().rstrip(".")
        code = _failed(f"{message}{'' if message.endswith('?') else ';'} see `{command} --help`", EXIT_USAGE)
    except click.ClickException as exc:
        code = _failed(exc.format_message())
    except (KeyboardInterrupt, click.Abort) as exc:  # click makes the one into the other
        code = _failed(str(exc.__cause__ or exc) or "interrupted", EXIT_INTERRUPTED)
    except MiradouroError as exc:
        code = _failed(exc.message)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except OSError as exc:
        code = _failed(str(exc))
    except Exception as exc:  # noqa: BLE001 # a person gets a line, not a traceback; it is shown where debugging is asked for
        if extra := _missing_extra(exc):
            sys.exit(_failed(f"this needs the extra {extra!r}, which is not installed: pip install 'miradouro[{extra}]'"))
        if os.environ.get("MIRADOURO_LOG_LEVEL") == "debug":
            traceback.print_exc()
        code = _failed(f"{type(exc).__name__}: {exc}; this is a bug: MIRADOURO_LOG_LEVEL=debug shows where")
    sys.exit(code if isinstance(code, int) else 0)


def _missing_extra(error: Exception) -> str | None:
    """The extra of this package that brings the module whose import failed; None for every other error."""
    return _EXTRAS.get((error.name or "").partition(".")[0]) if isinstance(error, ModuleNotFoundError) else None


def _named_command(arguments: Sequence[str] | None) -> str:
    """The words up to the innermost command: errors of the parser itself do not contain it."""
    command: click.Command | None = cli
    path = "miradouro"
    for word in sys.argv[1:] if arguments is None else arguments:
        if not isinstance(command, click.Group) or (command := command.get_command(click.Context(command), word)) is None:
            break
        path += f" {word}"
    return path


def _failed(message: str, code: int = EXIT_FAILED) -> int:
    text = printable(error_text(message), keep="\n")
    click.echo(text if code == EXIT_INTERRUPTED else f"error: {text}", err=True)
    return code


if __name__ == "__main__":
    main()
