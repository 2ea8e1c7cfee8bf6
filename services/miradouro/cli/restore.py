"""`miradouro restore`: a data folder made from a snapshot."""

from pathlib import Path

import click

from miradouro.cli.options import data_option, json_option, settings_of


@click.command()
@click.argument("snapshot", type=click.Path(path_type=Path), metavar="FILE")
@data_option
@json_option
def restore(*, snapshot: Path, data: Path | None, as_json: bool) -> None:
    """Make the data folder from the snapshot FILE. The folder has to be empty: nothing is ever replaced.

    What speeds up searches is made anew by the next `miradouro index` or `miradouro up`.
    """
    from miradouro.adapters.sqlite_index.snapshot import restore_snapshot
    from miradouro.cli.copying import shown_copy
    from miradouro.cli.output import write_json

    folder = settings_of(data=data).data_folder
    with shown_copy("restore") as progress:
        restore_snapshot(snapshot, folder, progress=progress)
    if as_json:
        write_json({"data": str(folder)})
        return
    click.echo(f"{folder}: restored from {snapshot}")
