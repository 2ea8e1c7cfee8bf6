"""`miradouro plan`: how much of everything a load of photos needs, each figure with its formula and source."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from miradouro.bundles.catalogue import find, manifest_files
from miradouro.cli.options import json_option
from miradouro.core.capacity import Demand, Figure, Plan
from miradouro.core.capacity import plan as make_plan
from miradouro.core.capacity.assumptions import SOURCES
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Space, Storage, choose_spaces, held_tagger
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.runtime.settings import load

GB = 1e9
_ROUNDS_UP = 0.9995  # of a unit: would be shown as a whole one
_UNITS = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
# Fields of a demand and the options that a person gave them by, where the names differ.
_OPTIONS = {
    "resident": "--in-memory",
    "shard_bytes": "--shard-size",
    "node_memory_bytes": "--node-memory",
    "node_disk_bytes": "--node-disk",
}


@click.command()
@click.option("--photos", type=float, required=True, metavar="N", help="Photos in all; 100e6 is a hundred million.")
@click.option("--rate", type=float, required=True, metavar="N", help="New photos a second at the busiest time.")
@click.option("--queries", type=float, default=10, show_default=True, metavar="N", help="Questions a second at the busiest time.")
@click.option("--spaces", metavar="NAMES", help="Spaces, separated by commas. Default: every default space of every bundle.")
@click.option("--regions/--no-regions", default=True, show_default=True, help="Whether spaces of regions are kept.")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--replicas", type=int, default=1, show_default=True, metavar="N", help="Copies beside the primary.")
@click.option(
    "--collections", type=int, default=1, show_default=True, metavar="N", help="Photos lie in so many; a question goes to one."
)
@click.option("--engine", type=click.Choice(["lucene", "faiss"]), default="lucene", show_default=True, help="k-NN engine.")
@click.option("--bits", type=int, default=32, show_default=True, metavar="N", help="Of each float of a vector in memory.")
@click.option(
    "--in-memory", "resident", type=float, default=1, show_default=True, metavar="SHARE", help="Of vectors and graphs, 0 to 1."
)
@click.option("--gpu", default="", metavar="NAME", help="Embed on GPUs of this name, not on processors.")
@click.option("--gpu-rate", type=float, metavar="N", help="Photos that one GPU embeds a second, as you measured it.")
@click.option(
    "--cpu-rate", type=float, metavar="N", help="Photos that one core embeds a second. Default: as the makers measured."
)
@click.option("--shard-size", type=float, default=30, show_default=True, metavar="GB", help="Of a primary shard, at most.")
@click.option("--node-memory", type=float, default=64, show_default=True, metavar="GB", help="Of a data node.")
@click.option("--node-disk", type=float, default=2_000, show_default=True, metavar="GB", help="Of a data node.")
@click.option("--node-cores", type=int, default=16, show_default=True, metavar="N", help="Of a data node.")
@json_option
def plan(
    photos: float,
    spaces: str | None,
    regions: bool,
    shard_size: float,
    node_memory: float,
    node_disk: float,
    as_json: bool,
    **asked: object,
) -> None:
    """Estimate the machines and disks that so many photos need: Kafka, ingest, embedding, OpenSearch.

    Nothing is asked or changed anywhere: it is arithmetic. Sizes are decimal, a GB is 10^9 bytes.
    """
    try:
        chosen = _spaces(spaces, with_regions=regions)
        demand = Demand(
            photos=_whole(photos),
            spaces=chosen,
            tagger=held_tagger(space.name for space in chosen),
            shard_bytes=shard_size * GB,
            node_memory_bytes=node_memory * GB,
            node_disk_bytes=node_disk * GB,
            **asked,  # type: ignore[arg-type] # click has seen to the types of the options of these names
        )
        made = make_plan(demand)
    except InvalidArgument as exc:
        option = _OPTIONS.get(exc.field, "--" + exc.field.replace("_", "-"))
        raise click.UsageError(f"{option}: {exc.message.removeprefix(f'{exc.field}: ')}") from exc
    if as_json:
        click.echo(json.dumps(_json(made), indent=2))
        return
    for line in _lines(made):
        click.echo(line)


def _whole(photos: float) -> int:
    if photos != photos or photos in (float("inf"), float("-inf")) or photos != int(photos):
        raise InvalidArgument("photos", f"{photos:g} is no whole number")
    return int(photos)


def _spaces(names: str | None, *, with_regions: bool) -> tuple[Space, ...]:
    given = [name.strip() for name in names.split(",")] if names is not None else []
    named = {name.split("/")[0] for name in given if "/" in name} & manifest_files().keys()
    bundles = [find(name) for name in dict.fromkeys([*load(EmbeddingSettings).bundles, *sorted(named)])]
    offered = [space for manifest in bundles for space in manifest.described_spaces(manifest.precisions[0])]
    chosen = choose_spaces(given, offered, field="spaces")
    return tuple(space for space in chosen if with_regions or not space.regions)


def _json(made: Plan) -> dict[str, object]:
    demand = asdict(made.demand) | {
        "spaces": [
            {
                "name": space.name,
                "dimension": space.dimension,
                "vectors_per_photo": space.vectors_per_photo,
                "storage": space.storage,
            }
            for space in made.demand.spaces
        ]
    }
    used = _used(made)
    return {
        "demand": demand,
        "figures": [asdict(figure) for figure in made.figures],
        "notes": list(made.notes),
        "sources": {name: SOURCES[name] for name in used},
    }


def _lines(made: Plan) -> Iterator[str]:
    demand = made.demand
    yield f"{demand.photos:,} photos, {demand.rate:,g} new ones and {demand.queries:,g} questions a second at the busiest time"
    for space in demand.spaces:
        rows = f"{space.vectors_per_photo} x {space.dimension}" if space.regions else f"{space.dimension}"
        yield f"    {space.name:28} {rows:>8}{'  int8' if space.storage is Storage.INT8 else ''}"
    names = max(len(figure.name) for figure in made.figures)
    values = max(len(formatted(figure)) for figure in made.figures)
    group = ""
    for figure in made.figures:
        if figure.group != group:
            group = figure.group
            yield group
        yield f"    {figure.name:{names}}  {formatted(figure):>{values}}  {figure.formula} [{', '.join(figure.sources)}]"
    if made.notes:
        yield "mind"
        yield from (f"    {note}" for note in made.notes)
    yield "sources"
    used = _used(made)
    width = max(map(len, used))
    yield from (f"    {name:{width}}  {SOURCES[name]}" for name in used)


def _used(made: Plan) -> list[str]:
    named = {source for figure in made.figures for source in figure.sources}
    return [name for name in SOURCES if name in named]


def formatted(figure: Figure) -> str:
    """A figure's value for a person: two or three digits and a unit, whole counts, "?" for what is unknown."""
    value, unit = figure.value, figure.unit
    if value is None:
        return "?"
    if unit == "B":
        size, name = next((one for one in _UNITS if value >= _ROUNDS_UP * one[0]), (1.0, "B"))
        return f"{_digits(value / size, 3)} {name}"
    if unit == "":
        return f"{value:,.0f}"
    return f"{_digits(value, 2)} {unit}" if unit == "days" else _digits(value, 2)


def _digits(value: float, count: int) -> str:
    """So many digits, more before the point where there are more."""
    return f"{value:.{count}g}" if 0 < value < _ROUNDS_UP * 10 ** (count - 1) else f"{value:,.0f}"
