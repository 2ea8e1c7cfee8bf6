"""Options that several subcommands share, and the settings that they override."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.runtime.addresses import NO_TOKEN
from miradouro.runtime.lines_on_demand import LinesOnDemand
from miradouro.runtime.private_folder import OTHERS
from miradouro.runtime.settings import LogSettings, load
from miradouro.standalone.settings import StandaloneSettings

MAX_PORT = 65_535
Command = TypeVar("Command", bound=Callable[..., Any])


def named_folder(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    """The folder that a word names. An empty word is a variable that is not set, not the working folder."""
    if value == "":
        raise click.BadParameter("it is empty; name a folder")
    return None if value is None else Path(value)


def named_server(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """The server that a word names: host:port, the host a name or an address."""
    if value is not None:
        host, _, port = value.rpartition(":")
        is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= MAX_PORT
        if not is_port or not host or "/" in host:
            raise click.BadParameter(f"{shown(value)} is not host:port; for example 127.0.0.1:7350")
    return value


def data_option(command: Command) -> Command:
    """--data DIR."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False),
        callback=named_folder,
        metavar="DIR",
        help="Data folder. Default: MIRADOURO_DATA_DIR, or the user's data folder of miradouro.",
    )(command)


def server_option(command: Command) -> Command:
    """--server HOST:PORT."""
    return click.option("--server", metavar="HOST:PORT", callback=named_server, help="Ask this server instead of a data folder.")(
        command
    )


def check_one_place(*, server: str | None, data: Path | None) -> None:
    """Raises UsageError when both a server and a data folder are named."""
    if server is not None and data is not None:
        raise click.UsageError("--server and --data exclude each other: a server has its own data folder")


def collection_option(command: Command) -> Command:
    """--collection NAME."""
    return click.option("--collection", default="photos", show_default=True, metavar="NAME", help="Collection of photos.")(
        command
    )


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(command)


def ignore_option(command: Command) -> Command:
    """--ignore PATTERN, repeatable."""
    return click.option(
        "--ignore",
        multiple=True,
        metavar="PATTERN",
        help="Ignore what matches, in the syntax of .gitignore, relative to DIR. May be given again. "
        "It is not remembered: a file .miradouroignore is.",
    )(command)


def offline_option(command: Command) -> Command:
    """--offline."""
    return click.option("--offline", is_flag=True, help="Never pull model files; missing ones are an error.")(command)


def no_token_option(command: Command) -> Command:
    """--no-token."""
    return click.option(
        NO_TOKEN,
        is_flag=True,
        help="Let every user and program of this machine in: to search, to see the photos, and to change the index.",
    )(command)


def settings_of(*, data: Path | None = None, offline: bool = False, words_only: bool = False) -> StandaloneSettings:
    """The settings from the environment, overridden by options; sets up logging, and the mode of new files.

    A command that reads `words_only`, no photos, sets up logging with its first line: hardly any of them writes one.

    Raises ConfigurationError.
    """
    os.umask(OTHERS)  # before the first file: the database's log and all that libraries write are for the owner alone, too
    chosen_logs = load(LogSettings)
    if words_only:
        logging.lastResort = LinesOnDemand(chosen_logs)
    else:
        from miradouro.runtime import logs

        logs.configure(chosen_logs)
    chosen: dict[str, object] = {}
    if data is not None:
        chosen["data_dir"] = data
    if offline:
        chosen["offline"] = True
    return load(StandaloneSettings).model_copy(update=chosen)


def utf8(text: str, field: str) -> str:
    """`text` itself when it can be sent. Raises InvalidArgument naming `field` when the shell gave bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgument(field, f"{shown(text)} is not UTF-8; allowed: text") from exc
    return text
