"""`miradouro models`: the bundles, their files, and what they are made of."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from miradouro.bundles.catalogue import find, manifest_files, origin
from miradouro.bundles.labels import labels_of
from miradouro.bundles.manifest import PRECISIONS, Manifest
from miradouro.bundles.own_weights import use_weights
from miradouro.bundles.pull import pull as pull_bundle
from miradouro.bundles.registry import model_path, open_bundle
from miradouro.bundles.settings import BundleSettings
from miradouro.cli.models_add import add, inspect, remove
from miradouro.cli.models_quantize import quantize
from miradouro.core.embedding import IMAGENET
from miradouro.core.errors import BadBundle, MiradouroError
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.runtime import logs
from miradouro.runtime.settings import LogSettings, load

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PRECISION = click.option("--precision", type=click.Choice(PRECISIONS), help="Default: the first that the bundle is offered in.")


@dataclass(frozen=True)
class _State:
    """A model file; `reason` is the fault of one that is not ready."""

    name: str
    precision: str
    state: Literal["ready", "missing", "damaged"]
    path: str
    bytes: int
    sha256: str
    reason: str


@click.group()
def models() -> None:
    """The neural networks that turn photos into vectors and tags.

    Model files are kept in MIRADOURO_MODELS_DIR, by default the user's cache folder; added bundles in MIRADOURO_BUNDLES_DIR, by
    default the user's data folder.
    """


@models.command("list")
@_AS_JSON
def list_(as_json: bool) -> None:
    """List the bundles and the state of their files."""
    rows = [_row(name) for name in sorted(manifest_files())]
    if as_json:
        click.echo(json.dumps({"bundles": rows}, indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']} ({row['origin']}): {row['summary'] or row['reason']}")
        if files := row["files"]:
            click.echo(f"    {', '.join(f'{state.precision} {_in_words(state)}' for state in _states_of_row(files))}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_PRECISION
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Build the one named bundle from this file, PyTorch's or ONNX, from now on. It is copied; nothing in it is executed.",
)
@_AS_JSON
def pull(names: Sequence[str], precision: str | None, weights: Path | None, as_json: bool) -> None:
    """Fetch and build bundles; those of MIRADOURO_BUNDLES where none is named.

    Files that are there and whole stay as they are; a download that broke off is continued. HF_ENDPOINT names a mirror of
    huggingface.co; everything else is reached as pip is configured to reach it.
    """
    logs.configure(load(LogSettings))
    if weights is not None:
        if len(names) != 1:
            raise click.UsageError("--weights needs the name of the one bundle that is built from the file")
        use_weights(names[0], weights, precision=precision)
    chosen = _chosen(names)
    folder = load(BundleSettings).folder
    for manifest in chosen:
        wanted = precision or manifest.precisions[0]
        path = pull_bundle(manifest.name, precision=wanted, folder=folder).path
        if not as_json:
            click.echo(f"{manifest.name} {wanted}: {path}")
    if as_json:
        states = [_state(find(each.name), precision or each.precisions[0], folder) for each in chosen]
        click.echo(json.dumps([asdict(state) for state in states], indent=2))


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Only files of this precision; by default those that are there.")
@_AS_JSON
@click.pass_context
def verify(ctx: click.Context, names: Sequence[str], precision: str | None, as_json: bool) -> None:
    """Check model files against their records and manifests; those of MIRADOURO_BUNDLES where no bundle is named.

    Exit code 1 when a file is damaged, or a bundle has none.
    """
    folder = load(BundleSettings).folder
    chosen = _chosen(names)
    states = [_state(each, one, folder) for each in chosen for one in each.precisions if precision in (None, one)]
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        for state in states:
            click.echo(f"{state.name} {state.precision}: {_in_words(state)}")
            if state.state == "damaged":
                click.echo(f"    {state.reason}")
    usable = {state.name for state in states if state.state == "ready"}
    if any(state.state == "damaged" for state in states) or {each.name for each in chosen} - usable:
        ctx.exit(1)


@models.command()
@click.argument("name")
@_PRECISION
@_AS_JSON
def describe(name: str, precision: str | None, as_json: bool) -> None:
    """Print what a bundle is made of and which spaces it offers; its files need not be there."""
    manifest = find(name)
    wanted = precision or manifest.precisions[0]
    manifest.check_precision(wanted)
    facts = _facts(manifest, wanted)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{name} {wanted}: {manifest.summary}")
    click.echo(f"licence      {manifest.license}\nattribution  {manifest.attribution}")
    for input_name, geometry in manifest.described_geometries().items():
        click.echo(f"geometry     {input_name}: {geometry}")
    for source in manifest.sources:
        click.echo(f"source       {source} (sha256 {source.sha256 or 'not recorded'})")
    click.echo(f"tags         {_tags(manifest)}\nspaces")
    for space in manifest.described_spaces(wanted):
        rows = f"{space.vectors_per_photo} x {space.dimension}" if space.regions else f"{space.dimension}"
        click.echo(f"    {space.name:28} {rows:>8}  {space.preset:10}  {space.provenance[:12]}")


def _tags(manifest: Manifest) -> str:
    if not manifest.tags:
        return "none"
    return "1,000 ImageNet classes" if manifest.label_table == IMAGENET else f"{len(labels_of(manifest)):,} labels of its own"


def _chosen(names: Sequence[str]) -> Sequence[Manifest]:
    return [find(name) for name in names or load(EmbeddingSettings).bundles]


def _row(name: str) -> dict[str, object]:
    """A bundle as JSON; one whose manifest can't be read has only a reason."""
    folder = load(BundleSettings).folder
    try:
        manifest = find(name)
        files = [asdict(_state(manifest, precision, folder)) for precision in manifest.precisions]
        spaces = [f"{name}/{part.output}" for part in manifest.spaces]
    except MiradouroError as exc:
        empty: dict[str, object] = {"summary": "", "license": "", "can_tag": False, "spaces": [], "files": []}
        return {"name": name, "origin": origin(name), **empty, "reason": exc.message}
    return {
        "name": name,
        "origin": origin(name),
        "summary": manifest.summary,
        "license": manifest.license,
        "can_tag": bool(manifest.tags),
        "spaces": spaces,
        "files": files,
        "reason": "",
    }


def _states_of_row(files: object) -> list[_State]:
    assert isinstance(files, list)
    return [_State(**file) for file in files]


def _state(manifest: Manifest, precision: str, folder: Path) -> _State:
    try:
        path = model_path(folder, manifest, precision)
    except BadBundle as exc:  # its sha256 is not recorded, or its ranges were not measured
        return _State(manifest.name, precision, "missing", "", 0, "", exc.message)
    try:
        bundle = open_bundle(manifest.name, precision=precision, folder=folder)
    except BadBundle as exc:
        state: Literal["missing", "damaged"] = "damaged" if path.exists() else "missing"
        return _State(manifest.name, precision, state, str(path), 0, "", exc.message)
    return _State(manifest.name, precision, "ready", str(path), path.stat().st_size, bundle.description.sha256, "")


def _in_words(state: _State) -> str:
    size = f"{state.bytes / 1e6:.0f} MB" if state.bytes >= 1e6 else f"{state.bytes / 1e3:.0f} kB"
    return f"ready ({size})" if state.state == "ready" else state.state


def _facts(manifest: Manifest, precision: str) -> dict[str, object]:
    return {
        "name": manifest.name,
        "origin": origin(manifest.name),
        "precision": precision,
        "summary": manifest.summary,
        "license": manifest.license,
        "attribution": manifest.attribution,
        "recipe": manifest.recipe,
        "recipe_version": manifest.recipe_version,
        "provenance": manifest.provenance(precision),
        "geometries": {input_name: part.model_dump(mode="json") for input_name, part in manifest.geometries.items()},
        "sources": [source.model_dump(mode="json") for source in manifest.sources],
        "can_tag": bool(manifest.tag_output),
        "spaces": [
            {**asdict(space), "name": space.name, "vectors_per_photo": space.vectors_per_photo}
            for space in manifest.described_spaces(precision)
        ],
    }


models.add_command(add)
models.add_command(inspect)
models.add_command(quantize)
models.add_command(remove)
