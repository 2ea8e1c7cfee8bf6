"""`miradouro retry`: index again what failed."""

from pathlib import Path

import click

from miradouro.cli.options import data_option, json_option, offline_option, settings_of, utf8
from miradouro.v1 import ingest_service_pb2

STATUSES = {
    ingest_service_pb2.RETRY_STATUS_STORED: "stored",
    ingest_service_pb2.RETRY_STATUS_SETTLED: "settled",
    ingest_service_pb2.RETRY_STATUS_FAILED: "failed",
    ingest_service_pb2.RETRY_STATUS_IMPOSSIBLE: "impossible",
}


@click.command()
@click.argument("photo_ids", nargs=-1, metavar="[ID]…")
@click.option(
    "--collection", default="", metavar="NAME", help="Collection of photos. Default: every one, or `photos` when ids are given."
)
@data_option
@offline_option
@json_option
def retry(*, photo_ids: tuple[str, ...], collection: str, data: Path | None, offline: bool, as_json: bool) -> None:
    """Try again to index what failed: these photos, or every one.

    Photos of a folder are read again from there, others from the URI of their event; those that came inside an event have to
    be sent again. Exits with 3 when some fail still.
    """
    from miradouro.cli.doors import open_ingest
    from miradouro.cli.exit_status import end_when_any_failed
    from miradouro.cli.output import write_json
    from miradouro.core.printable import printable

    request = ingest_service_pb2.RetryFailuresRequest(
        collection=utf8(collection, "collection"), photo_ids=[utf8(photo_id, "photo_ids") for photo_id in photo_ids]
    )
    counts = dict.fromkeys(STATUSES.values(), 0)
    rows: list[dict[str, str]] = []
    with open_ingest(settings_of(data=data, offline=offline)) as door:
        for one in door.RetryFailures(request):
            status = STATUSES[one.status]
            counts[status] += 1
            rows.append(
                {
                    "collection": one.collection,
                    "photo_id": one.photo_id,
                    "status": status,
                    "reason": one.reason,
                    "message": one.message,
                }
            )
            if not as_json:
                click.echo(printable(f"{status}: {one.collection}: {one.photo_id}" + (f": {one.message}" if one.message else "")))
    if as_json:
        write_json({"photos": rows, **counts})
    else:
        click.echo(", ".join(f"{number:,} {status}" for status, number in counts.items()))
    failed = counts["failed"] + counts["impossible"]
    end_when_any_failed(failed, done=len(rows) - failed, what="photos could be indexed")
