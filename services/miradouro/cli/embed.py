"""`miradouro embed`: vectors and tags of photos, without an index."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from miradouro.cli.options import json_option, offline_option, settings_of
from miradouro.cli.read_photo import read_photo
from miradouro.core.errors import BadPhoto

if TYPE_CHECKING:
    from miradouro.adapters.photo_reader.reading import Reading
    from miradouro.core.ports import Embedder

_SHOWN_TAGS = 3


@click.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--space", "spaces", multiple=True, metavar="S", help="Vector space; may be repeated. Default: every default space."
)
@offline_option
@json_option
def embed(*, files: tuple[Path, ...], spaces: tuple[str, ...], offline: bool, as_json: bool) -> None:
    """Print the vectors and tags of photos. What is wrong with a file stands in its place; the others are embedded.

    Exits with 3 when some files could not be.
    """
    from miradouro.adapters.photo_reader.reading import open_reading
    from miradouro.cli.exit_status import end_when_any_failed
    from miradouro.standalone.configuration import Configuration
    from miradouro.standalone.embedder_on_demand import open_embedder

    configuration = Configuration(standalone=settings_of(offline=offline))
    good = 0
    with (
        open_reading(configuration.reading) as reading,
        open_embedder(configuration, reading=lambda: reading, bundles=_bundles_of(spaces)) as embedder,
    ):
        rows = _embedded(files, spaces, embedder, reading)
        for number, row in enumerate(rows):
            good += row["error"] is None
            if as_json:  # piece by piece: vectors of many photos don't fit into memory
                click.echo(f"{',' if number else '['}{json.dumps(row, allow_nan=False)}")
            else:
                click.echo(_line(row))
    if as_json:
        click.echo("]")
    end_when_any_failed(len(files) - good, done=good, what="files could be embedded")


def _bundles_of(spaces: Sequence[str]) -> list[str]:
    """The bundles of the named spaces and of the tags; none, for those of the setting, where a name is no space of a bundle."""
    from miradouro.bundles.catalogue import is_known
    from miradouro.core.spaces import held_tagger

    named = {name.split("/")[0] for name in spaces if "/" in name and is_known(name.split("/")[0])}
    return sorted({*named, held_tagger(spaces)}) if len(spaces) and all(name.split("/")[0] in named for name in spaces) else []


def _embedded(files: Sequence[Path], spaces: Sequence[str], embedder: "Embedder", reading: "Reading") -> Iterator[dict[str, Any]]:
    from miradouro.core.printable import printable
    from miradouro.core.spaces import choose_spaces, needed_geometries

    bundles = embedder.describe()
    offered = [space for bundle in bundles for space in bundle.spaces]
    wanted = choose_spaces(spaces, offered, field="space")
    names = list(dict.fromkeys(space.name for space in wanted))
    geometries = needed_geometries(bundles, names, tags=True)
    regions = {space.name for space in wanted if space.regions}
    for path in files:
        try:
            data = read_photo(path, reading.limits.max_bytes)
            decoded = reading.reader.decode(data, geometries, limits=reading.limits)
        except BadPhoto as exc:
            yield {"path": str(path), "error": printable(exc.message), "vectors": {}, "tags": []}
            continue
        [embedding] = embedder.embed([decoded.tensors], spaces=names, tags=True)
        yield {
            "path": str(path),
            "error": None,
            "vectors": {
                name: (vectors if name in regions else vectors[0]).tolist() for name, vectors in embedding.vectors.items()
            },
            "tags": [{"label": tag.label, "score": tag.probability} for tag in embedding.labels],
        }


def _line(row: dict[str, Any]) -> str:
    from miradouro.core.printable import printable

    if row["error"] is not None:
        return f"{printable(row['path'])}: {row['error']}"
    tags = ", ".join(f"{tag['label']} {tag['score']:.2f}" for tag in row["tags"][:_SHOWN_TAGS])
    return f"{printable(row['path'])}: {printable(tags)}; {', '.join(row['vectors'])}"
