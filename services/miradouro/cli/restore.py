"""`miradouro restore`: a data folder made from a snapshot."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from miradouro.cli.options import data_option, json_option, settings_of, utf8
from miradouro.core.event import COLLECTION


@click.command()
@click.argument("snapshot", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="NAME=DIR",
    help="Confirm that the photos of collection NAME lie below DIR, as the snapshot says. May be given again.",
)
@data_option
@json_option
def restore(*, snapshot: Path, roots: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Make the data folder from the snapshot FILE. The folder has to be empty: nothing is ever replaced.

    Every row is checked. A collection whose folder is not confirmed by --root answers questions, and its originals and
    thumbnails stay out of reach. What speeds up searches is made anew by the next `miradouro index` or `miradouro up`.
    """
    from miradouro.adapters.sqlite_index.restore import restore_snapshot
    from miradouro.cli.copying import shown_copy
    from miradouro.cli.output import write_json

    confirmed = _confirmed(roots)
    folder = settings_of(data=data).data_folder
    with shown_copy("restore") as progress:
        unconfirmed = restore_snapshot(snapshot, folder, progress=progress, roots=confirmed)
    if as_json:
        write_json({"data": str(folder), "unconfirmed": {one.collection: one.root for one in unconfirmed}})
        return
    click.echo(f"{folder}: restored from {snapshot}")
    for one in unconfirmed:
        name, root = one.collection, one.root.encode("unicode_escape").decode()
        click.echo(
            f"{name}: its photos are searchable; originals and thumbnails are out of reach until it is restored with "
            f"--root {shlex.quote(f'{name}={root}')}",
            err=True,
        )


def _confirmed(roots: Sequence[str]) -> dict[str, str]:
    """Collection → folder. Raises UsageError."""
    confirmed: dict[str, str] = {}
    for text in roots:
        name, is_named, folder = text.partition("=")
        if not (is_named and folder and COLLECTION.fullmatch(name)) or name in confirmed:
            raise click.UsageError(f"--root {text}: give each collection its folder once: --root NAME=DIR")
        confirmed[name] = utf8(folder, "root")
    return confirmed
