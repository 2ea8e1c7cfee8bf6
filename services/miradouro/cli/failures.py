"""`miradouro failures`: what could not be indexed, and why."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from miradouro.cli.options import data_option, json_option, settings_of, utf8

if TYPE_CHECKING:
    from miradouro.v1.ingest_service_pb2 import Failure

PAGE = 1_000


@click.command()
@click.option("--collection", default="", metavar="NAME", help="Collection of photos. Default: every one.")
@data_option
@json_option
def failures(*, collection: str, data: Path | None, as_json: bool) -> None:
    """List the photos that could not be indexed, with the reason; `miradouro retry` tries them again."""
    from miradouro.cli.doors import open_ingest
    from miradouro.cli.output import write_json
    from miradouro.core.printable import printable
    from miradouro.v1.ingest_service_pb2 import ListFailuresRequest

    request = ListFailuresRequest(collection=utf8(collection, "collection"), page_size=PAGE)
    found: list[Failure] = []
    with open_ingest(settings_of(data=data), writer=False) as door:
        while True:
            page = door.ListFailures(request)
            found += page.failures
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    if as_json:
        write_json({"failures": [_json(failure) for failure in found]})
        return
    for failure in found:
        click.echo(printable(f"{failure.collection}: {failure.photo_id}: {failure.message}"))
    click.echo(f"{len(found):,} failed")


def _json(failure: "Failure") -> dict[str, object]:
    return {
        "collection": failure.collection,
        "photo_id": failure.photo_id,
        "version": failure.version,
        "reason": failure.reason,
        "message": failure.message,
        "uri": failure.uri,
        "failed_at": failure.failed_at.ToJsonString(),
    }
