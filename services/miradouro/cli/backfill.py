"""`miradouro backfill`: publishes events for photos that are there already."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from miradouro.cli.options import collection_option, utf8
from miradouro.core.printable import printable

if TYPE_CHECKING:
    from miradouro.core.sidecars.beside import SidecarFault
    from miradouro.ingest.publishing import Unpublished


@dataclass(frozen=True)
class _Published:
    """Progress; the total is not known beforehand."""

    done: int
    total: int = 0


@click.command()
@click.argument("uri")
@collection_option
@click.option("--restart", is_flag=True, help="Begin anew instead of going on where an earlier run stopped.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File that holds the place to go on from; it is there until all is published. Default: one in the user's state folder.",
)
def backfill(*, uri: str, collection: str, restart: bool, state: Path | None) -> None:
    """Publish an event for every photo at URI: a folder, file:///…, s3://bucket/folder, gs://…, or another URL of fsspec.

    Photos are named by URI, so ingest has to be allowed to read them. Sidecars are read as in a folder. A photo's version is its
    sidecar's, or the time in ms at which the photo or a sidecar was changed last: a repeated run changes nothing that did not
    change. After an interruption the next run goes on. Exits with 3 when some of it could not be published; everything else
    is then.
    """
    import platformdirs
    import structlog

    from miradouro.adapters.kafka import KafkaSettings, Publisher, ensure_topics
    from miradouro.adapters.location import Location
    from miradouro.adapters.photo_reader.reading import open_reading
    from miradouro.adapters.photo_reader.settings import ReadingSettings
    from miradouro.adapters.photo_store import PhotoStoreSettings
    from miradouro.cli.exit_status import end_when_any_failed
    from miradouro.cli.progress import shown_progress
    from miradouro.core.event import check_collection
    from miradouro.ingest.backfill import CheckpointFile, Job
    from miradouro.ingest.backfill import backfill as publish
    from miradouro.runtime import logs
    from miradouro.runtime.settings import LogSettings, load

    logs.configure(load(LogSettings))
    settings, stores = load(KafkaSettings), load(PhotoStoreSettings)
    check_collection(utf8(collection, "collection"))
    location = Location(utf8(uri, "uri"), s3_endpoint=stores.s3_endpoint)
    job = Job(location.uri, collection, settings.kafka_bootstrap, settings.kafka_topic)
    checkpoints = CheckpointFile(state or platformdirs.user_state_path("miradouro") / "backfill" / job.file_name, job)
    if restart:
        checkpoints.remove()
    elif began := checkpoints.read().after:
        structlog.get_logger().info("going on", after=began, state=str(checkpoints.path))
    done = refused = 0

    def show_refused(one: "Unpublished") -> None:
        nonlocal refused
        refused += 1
        click.echo(printable(f"{one.where}: {one.error.message}"), err=True)

    def show_faulty(one: "SidecarFault") -> None:
        click.echo(printable(f"sidecar: {one.path}: {one.reason}"), err=True)

    ensure_topics(settings)
    with (
        open_reading(load(ReadingSettings)) as reading,
        Publisher(settings) as publisher,
        shown_progress("publishing") as show,
    ):
        for done in publish(
            location,
            collection=collection,
            publisher=publisher,
            reader=reading.reader,
            checkpoints=checkpoints,
            refused=show_refused,
            faulty=show_faulty,
        ):
            show(_Published(done))
    click.echo(f"published {done:,}, refused {refused:,}")
    end_when_any_failed(refused, done=done, what="events could be published")
