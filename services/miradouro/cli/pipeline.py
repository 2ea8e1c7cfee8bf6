"""`miradouro pipeline`: what a photo goes through on its way in."""

import json

import click

from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import described, load_pipeline
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
    for number, step in enumerate(found.steps, 1):
        click.echo(f"{number}. {step.name}  {step.origin}")
        for option, value in step.options.model_dump(mode="json").items():
            click.echo(f"     {option} = {value}")
