"""`miradouro pipeline`: what a photo goes through on its way in."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from miradouro.cli.options import collection_option, json_option, offline_option, settings_of, utf8
from miradouro.cli.simulated import simulation_json, simulation_lines
from miradouro.core.event import check_collection
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import Step, described, load_pipeline
from miradouro.runtime.settings import load


@click.group()
def pipeline() -> None:
    """The steps that a photo goes through on its way in."""


@pipeline.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Print the steps in order, their options, and where each comes from."""
    found = load_pipeline(load(IngestSettings).pipeline)
    if as_json:
        click.echo(json.dumps({"source": found.source, "processors": described(found.steps)}, indent=2))
        return
    click.echo(f"from {found.source}")
    for line in _lines(found.steps):
        click.echo(line)


def _lines(steps: Sequence[Step], indent: str = "") -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        yield f"{indent}{number}. {step.name}  {step.origin}"
        for option, value in step.options.model_dump(mode="json").items():
            yield f"{indent}     {option} = {value}"
        if step.condition:
            yield f"{indent}     if {step.condition.text}"
        if step.ignore_failure:
            yield f"{indent}     ignore_failure"
        if step.on_failure:
            yield f"{indent}     on_failure:"
            yield from _lines(step.on_failure, f"{indent}       ")


@pipeline.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--sidecar",
    type=click.Path(path_type=Path, exists=True),
    metavar="F",
    help="Sidecar, JSON or XMP. Default: those beside FILE.",
)
@collection_option
@offline_option
@json_option
def simulate(*, file: Path, sidecar: Path | None, collection: str, offline: bool, as_json: bool) -> None:
    """Print the document that would be stored of a photo, and how each step went. Nothing is stored, no index is needed."""
    from miradouro.adapters.photo_reader.reading import open_reading
    from miradouro.bundles.labels import load_labels
    from miradouro.cli.output import write_json
    from miradouro.ingest import simulation
    from miradouro.standalone.configuration import Configuration
    from miradouro.standalone.embedder_on_demand import open_embedder

    configuration = Configuration(standalone=settings_of(offline=offline))
    with open_reading(configuration.reading) as reading, open_embedder(configuration, reading=lambda: reading) as embedder:
        embedder.start()  # first, so that its time does not count as the step's
        found = simulation.simulate(
            file,
            sidecar=sidecar,
            collection=check_collection(utf8(collection, "collection")),
            pipeline=load_pipeline(configuration.ingest.pipeline),
            embedder=embedder,
            labels=load_labels(),
            reader=reading.reader,
            limits=reading.limits,
            spaces=configuration.ingest.space_names,
        )
    result = simulation_json(found)
    if as_json:
        write_json(result)
    else:
        for line in simulation_lines(result):
            click.echo(line)
    if found.error is not None:
        raise click.ClickException(f"{file}: {found.error.message}")
