"""`miradouro models`: the bundles, their files, and what they are made of."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from miradouro.bundles.catalogue import find, manifests
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.pull import pull as pull_bundle
from miradouro.bundles.registry import model_path, open_bundle
from miradouro.bundles.settings import BundleSettings
from miradouro.core.errors import BadBundle
from miradouro.runtime import logs
from miradouro.runtime.settings import LogSettings, load

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PRECISIONS = click.Choice(["int8", "fp32"])


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

    Files are kept in MIRADOURO_MODELS_DIR, by default the user's cache folder.
    """


@models.command("list")
@_AS_JSON
def list_(as_json: bool) -> None:
    """List the bundles and the state of their files."""
    states = _states(manifests(), None)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
        return
    summaries = {manifest.name: manifest.summary for manifest in manifests()}
    for name, summary in summaries.items():
        files = ", ".join(f"{state.precision} {_in_words(state)}" for state in states if state.name == name)
        click.echo(f"{name}: {summary}\n    {files}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--precision", type=_PRECISIONS, default="int8", show_default=True)
@_AS_JSON
def pull(names: Sequence[str], precision: str, as_json: bool) -> None:
    """Fetch and build bundles; all where none is named.

    Files that are there and whole stay as they are; a download that broke off is continued.
    """
    logs.configure(load(LogSettings))
    chosen = _chosen(names)
    folder = load(BundleSettings).folder
    for manifest in chosen:
        path = pull_bundle(manifest.name, precision=precision, folder=folder).path
        if not as_json:
            click.echo(f"{manifest.name} {precision}: {path}")
    if as_json:
        click.echo(json.dumps([asdict(state) for state in _states(chosen, precision)], indent=2))


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--precision", type=_PRECISIONS, help="Only files of this precision; by default those that are there.")
@_AS_JSON
@click.pass_context
def verify(ctx: click.Context, names: Sequence[str], precision: str | None, as_json: bool) -> None:
    """Check model files against their records and manifests; all bundles where none is named.

    Exit code 1 when a file is damaged, or a bundle has none.
    """
    states = _states(_chosen(names), precision)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        for state in states:
            click.echo(f"{state.name} {state.precision}: {_in_words(state)}")
            if state.state == "damaged":
                click.echo(f"    {state.reason}")
    usable = {state.name for state in states if state.state == "ready"}
    if any(state.state == "damaged" or state.name not in usable for state in states):
        ctx.exit(1)


@models.command()
@click.argument("name")
@click.option("--precision", type=_PRECISIONS, default="int8", show_default=True)
@_AS_JSON
def describe(name: str, precision: str, as_json: bool) -> None:
    """Print what a bundle is made of and which spaces it offers; its files need not be there."""
    manifest = find(name)
    manifest.check_precision(precision)
    facts = _facts(manifest, precision)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{name} {precision}: {manifest.summary}")
    click.echo(f"licence      {manifest.license}\nattribution  {manifest.attribution}")
    for input_name, geometry in manifest.described_geometries().items():
        click.echo(f"geometry     {input_name}: {geometry}")
    for source in manifest.sources:
        click.echo(f"source       {source} (sha256 {source.sha256 or 'not recorded'})")
    click.echo(f"tags         {'1,000 ImageNet classes' if manifest.tag_output else 'none'}\nspaces")
    for space in manifest.described_spaces(precision):
        rows = f"{space.vectors_per_photo} x {space.dimension}" if space.regions else f"{space.dimension}"
        click.echo(f"    {space.name:28} {rows:>8}  {space.preset:10}  {space.provenance[:12]}")


def _chosen(names: Sequence[str]) -> Sequence[Manifest]:
    return [find(name) for name in names] or manifests()


def _states(chosen: Sequence[Manifest], precision: str | None) -> list[_State]:
    folder = load(BundleSettings).folder
    return [_state(manifest, each, folder) for manifest in chosen for each in manifest.precisions if precision in (None, each)]


def _state(manifest: Manifest, precision: str, folder: Path) -> _State:
    path = model_path(folder, manifest, precision)
    try:
        bundle = open_bundle(manifest.name, precision=precision, folder=folder)
    except BadBundle as exc:
        state: Literal["missing", "damaged"] = "damaged" if path.exists() else "missing"
        return _State(manifest.name, precision, state, str(path), 0, "", exc.message)
    return _State(manifest.name, precision, "ready", str(path), path.stat().st_size, bundle.description.sha256, "")


def _in_words(state: _State) -> str:
    return f"ready ({state.bytes / 1e6:.0f} MB)" if state.state == "ready" else state.state


def _facts(manifest: Manifest, precision: str) -> dict[str, object]:
    return {
        "name": manifest.name,
        "precision": precision,
        "summary": manifest.summary,
        "license": manifest.license,
        "attribution": manifest.attribution,
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
