"""`miradouro models quantize`: int8 for a bundle, with ranges measured on one's own photos."""

import json
from pathlib import Path

import click

from miradouro.cli.options import json_option, named_folder
from miradouro.runtime import logs
from miradouro.runtime.settings import LogSettings, load


@click.command()
@click.argument("name")
@click.option(
    "--photos",
    required=True,
    metavar="DIR",
    callback=named_folder,
    help="Folder of photos of all kinds; it is searched with its subfolders.",
)
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=96, show_default=True, help="Photos to use, drawn with a fixed seed."
)
@json_option
def quantize(name: str, photos: Path, count: int, as_json: bool) -> None:
    """Measure the ranges of a bundle's activations on photos, and build its int8 model.

    Photos that can't be read are left out. The ranges stay on this machine. Collections that hold int8 vectors of the bundle with
    other ranges refuse the new ones: measure before you index.
    """
    from miradouro.adapters.photo_reader.reading import open_reading
    from miradouro.adapters.photo_reader.settings import ReadingSettings
    from miradouro.bundles import calibrate

    logs.configure(load(LogSettings))
    with open_reading(load(ReadingSettings)) as reading:
        built = calibrate.quantize(
            name,
            photos,
            count,
            decode=lambda data, geometry: reading.reader.decode(data, [geometry]).tensors[geometry],
        )
    if as_json:
        click.echo(json.dumps({"name": name, "precision": "int8", "path": str(built.path), "sha256": built.description.sha256}))
    else:
        click.echo(f"{name} int8: {built.path}")
