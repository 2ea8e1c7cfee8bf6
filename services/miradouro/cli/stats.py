"""`miradouro stats`: what every collection holds."""

from pathlib import Path

import click

from miradouro.cli.options import check_one_place, data_option, json_option, server_option, settings_of


@click.command()
@server_option
@data_option
@json_option
def stats(*, server: str | None, data: Path | None, as_json: bool) -> None:
    """Count what every collection holds."""
    check_one_place(server=server, data=data)
    from miradouro.cli.doors import open_search
    from miradouro.cli.output import stats_json, stats_lines, write_json
    from miradouro.v1.search_service_pb2 import StatsRequest

    with open_search(settings_of(data=data), server=server) as door:
        answer = door.Stats(StatsRequest())
    if as_json:
        write_json(stats_json(answer))
        return
    for line in stats_lines(answer):
        click.echo(line)
