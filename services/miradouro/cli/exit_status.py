"""The exit codes of commands, for scripts."""

import sys

import click

EXIT_FAILED, EXIT_USAGE, EXIT_PARTLY, EXIT_INTERRUPTED = 1, 2, 3, 130


def end_when_withheld(reason: str) -> None:
    """Prints `reason` and ends the command with 3 when deletions were withheld; an empty `reason` does nothing."""
    if reason:
        click.echo(f"deletions withheld: {reason}", err=True)
        sys.exit(EXIT_PARTLY)


def end_when_any_failed(failed: int, *, done: int, what: str) -> None:
    """Ends the command with 3 when some failed, and with 1 when all failed: "none of the 3 `what`"."""
    if failed and not done:
        raise click.ClickException(f"none of the {failed:,} {what}")
    if failed:
        sys.exit(EXIT_PARTLY)
