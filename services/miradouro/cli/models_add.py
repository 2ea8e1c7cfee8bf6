"""`miradouro models inspect`, `add` and `remove`: bundles of one's own."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from miradouro.runtime import logs
from miradouro.runtime.settings import LogSettings, load

if TYPE_CHECKING:
    from miradouro.bundles.inspection import Inspection


@click.command()
@click.argument("file_or_url", metavar="FILE|URL")
@click.option("--output", type=click.Path(path_type=Path), help="Manifest to write. Default: NAME.toml beside FILE, or here.")
@click.option("--name", help="Name of the bundle. Default: the name of the file, in small letters.")
@click.option("--size", type=click.IntRange(1, 4096), help="Side of the picture where the graph leaves it open. Default: 224.")
@click.option("--all", "every", is_flag=True, help="List every tensor, not only the ends of layers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(file_or_url: str, output: Path | None, name: str | None, size: int | None, every: bool, as_json: bool) -> None:
    """List the tensors of an ONNX file that can become spaces, and write a manifest to edit.

    A manifest that is there already stays as it is.
    """
    from miradouro.bundles.inspection import draft_manifest, inspect_graph, named_after
    from miradouro.bundles.own_source import source_of
    from miradouro.bundles.settings import BundleSettings

    logs.configure(load(LogSettings))
    path, source = source_of(file_or_url, load(BundleSettings).folder)
    found = inspect_graph(path, size=size)
    name = name or named_after(file_or_url)
    target = output or (Path() if source.kind == "url" else path.parent) / f"{name}.toml"
    text = draft_manifest(found, source, name=name)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        written = False
    else:
        written = True
    if as_json:
        facts = {**asdict(found), "manifest": str(target), "written": written}
        facts["candidates"] = [{**asdict(each), "dimension": each.dimension} for each in found.candidates]
        click.echo(json.dumps(facts, indent=2))
        return
    _show(found, every=every)
    if written:
        click.echo(f"wrote {target}; edit it, then run `miradouro models add {target}`")
    else:
        click.echo(f"{target} is there already and stays as it is; --output names another")


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
def add(manifest: Path) -> None:
    """Add the bundle that MANIFEST describes, after a test on generated pictures."""
    from miradouro.bundles.adding import add as add_bundle
    from miradouro.bundles.settings import BundleSettings

    logs.configure(load(LogSettings))
    bundle = add_bundle(manifest, load(BundleSettings)).description
    click.echo(f"added {bundle.name}: {', '.join(space.name for space in bundle.spaces)}")
    click.echo(f"use it: miradouro index DIR --collection NAME --spaces {bundle.spaces[0].name}")


@click.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete a bundle that was added, and its model files. Collections keep the vectors of its spaces."""
    from miradouro.bundles.adding import remove as remove_bundle
    from miradouro.bundles.settings import BundleSettings

    remove_bundle(name, load(BundleSettings))
    click.echo(f"removed {name}")


def _show(found: "Inspection", *, every: bool) -> None:
    click.echo(f"input {found.input}: {found.layout}, {found.channels}, {found.width} x {found.height}")
    shown = [each for each in found.candidates if every or each.is_layer]
    widths = [max(len(each.tensor) for each in shown), max(len(each.op) for each in shown)]
    for each in shown:
        shape = " x ".join(map(str, each.shape))
        click.echo(f"    {each.tensor:{widths[0]}}  {each.op:{widths[1]}}  {shape:>16}  {', '.join(each.poolings)}")
