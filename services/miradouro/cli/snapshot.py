"""`miradouro snapshot`: a copy of the index, taken while it is in use."""

from datetime import UTC, datetime
from pathlib import Path

import click

from miradouro.cli.options import data_option, json_option, settings_of


@click.command()
@click.argument("word", metavar="FILE|DIR")
@data_option
@json_option
def snapshot(*, word: str, data: Path | None, as_json: bool) -> None:
    """Copy the index into FILE, or into a file in DIR that is named by the time; searches and indexing continue.

    DIR is an existing folder, or a name that ends in a slash: then it is created.

    The snapshot holds no photos. Restore it with `miradouro restore`.
    """
    from miradouro.adapters.sqlite_index.snapshot import SUFFIX, take_snapshot
    from miradouro.cli.copying import shown_copy
    from miradouro.cli.output import write_json

    settings = settings_of(data=data)
    if not word:
        raise click.UsageError("FILE|DIR: it is empty; name a file or a folder")
    target = Path(word)
    if word.endswith("/") and target.parent.is_dir() and not target.exists():
        target.mkdir()
    if target.is_dir():
        target = target / f"miradouro-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"
    with shown_copy("snapshot") as progress:
        take_snapshot(settings.data_folder, target, progress=progress)
    size = target.stat().st_size
    if as_json:
        write_json({"snapshot": str(target), "bytes": size})
        return
    click.echo(f"{target}: {size:,} bytes")
