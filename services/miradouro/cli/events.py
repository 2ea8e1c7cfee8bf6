"""`miradouro events`: what upload systems do, by hand."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from miradouro.cli.options import collection_option, json_option, utf8
from miradouro.core.printable import printable

if TYPE_CHECKING:
    from miradouro.adapters.kafka.publisher import Record
    from miradouro.core.event import PhotoEvent
    from miradouro.ingest.publishing import Unpublished

MAX_LINE_BYTES = 8 * 1024 * 1024  # an event with a photo of 1 MiB inside, in the longest spelling


@click.group()
def events() -> None:
    """Publish photo events to Kafka, and print their schema."""


@events.command()
@click.argument("source", metavar="DIR|FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@collection_option
def publish(*, source: Path, collection: str) -> None:
    """Publish the photos below DIR, or the events of FILE or of standard input: a CloudEvent in JSON on each line.

    The photos of a folder are named by file URI, so ingest has to see the same folder (MIRADOURO_PHOTO_ROOTS). Publishing
    again changes nothing that did not change. Exits with 3 when some of it could not be published; everything else is then.
    """
    from miradouro.adapters.kafka import KafkaSettings, Publisher, ensure_topics
    from miradouro.adapters.photo_reader.reading import open_reading
    from miradouro.adapters.photo_reader.settings import ReadingSettings
    from miradouro.cli.exit_status import end_when_any_failed
    from miradouro.core.errors import InvalidArgument
    from miradouro.ingest.publishing import events_of_folder, events_of_lines
    from miradouro.runtime.settings import load

    settings = load(KafkaSettings)
    if str(source) != "-" and not source.exists():  # before Kafka is asked for anything
        raise InvalidArgument("source", f"there is no {source}; name a folder, a file of events, or - for standard input")
    wrong: list[str] = []
    published = 0
    with open_reading(load(ReadingSettings)) as reading, Publisher(settings) as publisher:
        if source.is_dir():
            found = events_of_folder(source, utf8(collection, "collection"), reader=reading.reader)
        elif str(source) == "-":
            found = events_of_lines(_bounded_lines(sys.stdin.buffer))
        else:
            found = events_of_lines(_lines_of(source))
        ensure_topics(settings)
        for published in publisher.publish(_records(found, wrong)):
            click.echo(f"published {published:,} events", err=True)
    for one in wrong:
        click.echo(printable(one), err=True)
    click.echo(f"published {published:,}, refused {len(wrong):,}")
    end_when_any_failed(len(wrong), done=published, what="events could be published")


@events.command()
@click.option("--data", "only_data", is_flag=True, help="Of the data alone, as it stands in the value in binary mode.")
@click.option("--asyncapi", "as_asyncapi", is_flag=True, help="The topics as AsyncAPI 3, with the names of the settings.")
def schema(*, only_data: bool, as_asyncapi: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of a photo event: a CloudEvent in structured mode."""
    from miradouro.adapters.kafka import KafkaSettings
    from miradouro.ingest.asyncapi import asyncapi
    from miradouro.ingest.event_schema import data_schema, event_schema
    from miradouro.runtime.settings import load

    if only_data and as_asyncapi:
        raise click.UsageError("--data and --asyncapi exclude each other; leave one out")
    description = asyncapi(load(KafkaSettings)) if as_asyncapi else data_schema() if only_data else event_schema()
    click.echo(json.dumps(description, indent=2))


@events.command()
def topics() -> None:
    """Make the topics of events and dead letters where they are missing; those that are there stay as they are."""
    from miradouro.adapters.kafka import KafkaSettings, ensure_topics
    from miradouro.runtime.settings import load

    settings = load(KafkaSettings)
    made = ensure_topics(settings)
    for name in (settings.kafka_topic, settings.kafka_dead_topic):
        click.echo(f"{name}: {'made' if name in made else 'was there'}")


@events.command()
@click.option("--collection", default="", metavar="NAME", help="Dead letters of one collection. Default: of every one.")
@click.option("--reason", "reasons", multiple=True, metavar="NAME", help="Dead letters of this reason; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Only print what would be sent, and what would not and why.")
@json_option
def retry(*, collection: str, reasons: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Send dead letters to the topic of events again, once what they died of is mended.

    Each is sent once, as it first came: run it again after an interruption, or whenever. Of a photo only the newest state is
    sent, and none where the topic holds a newer one: those are superseded. One that is no event stays dead, whatever else is
    mended. What dies again is a new dead letter, left to the next run. Reads the topic of events once; may run beside the
    services. Exits with 3 when some can't be sent; everything else is then.
    """
    from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSettings
    from miradouro.cli.exit_status import end_when_any_failed
    from miradouro.cli.output import write_json
    from miradouro.cli.progress import shown_steps
    from miradouro.core.event import check_collection
    from miradouro.ingest.resend import Resend, Status
    from miradouro.runtime import logs
    from miradouro.runtime.settings import LogSettings, load

    logs.configure(load(LogSettings))
    settings = load(KafkaSettings)
    if collection:
        check_collection(utf8(collection, "collection"))
    counts = dict.fromkeys((status.value for status in Status), 0)
    rows: list[dict[str, object]] = []
    with KafkaDeadLetters(settings) as dead_letters, shown_steps() as show:
        for one in Resend(settings, dead_letters, collection, frozenset(reasons), is_dry=dry_run).run(show):
            failure = one.failure
            counts[one.status] += 1
            if as_json:
                rows.append(
                    {
                        "collection": failure.collection,
                        "photo_id": failure.photo_id,
                        "version": failure.version,
                        "reason": failure.reason,
                        "failure": failure.message,
                        "status": one.status.value,
                        "message": one.message,
                    }
                )
            else:
                why = one.message or failure.message
                click.echo(printable(f"{one.status}: {failure.collection}: {failure.photo_id}: {failure.reason}: {why}"))
    if as_json:
        write_json({"dry_run": dry_run, "letters": rows, **counts})
    else:
        click.echo(("would be: " if dry_run else "") + ", ".join(f"{number:,} {status}" for status, number in counts.items()))
    impossible = counts[Status.IMPOSSIBLE]
    end_when_any_failed(impossible, done=sum(counts.values()) - impossible, what="dead letters could be sent")


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Line by line. Raises InvalidArgument at one that is too long to be an event, however long it is."""
    from miradouro.core.errors import InvalidArgument

    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise InvalidArgument(
                "source", f"line {number:,} has more than {MAX_LINE_BYTES:,} bytes; an event has a line of its own"
            )
        yield line


def _lines_of(path: Path) -> Iterator[bytes]:
    from miradouro.core.errors import InvalidArgument

    try:
        with path.open("rb") as file:
            yield from _bounded_lines(file)
    except OSError as exc:
        raise InvalidArgument("source", f"{path} can't be read: {exc.strerror}") from exc


def _records(found: "Iterator[PhotoEvent | Unpublished]", wrong: list[str]) -> "Iterator[Record]":
    """The records of the events; `wrong` takes a line for each that cannot be published. Faults of sidecars are printed."""
    from miradouro.core.errors import InvalidArgument
    from miradouro.ingest.cloud_event import record_of
    from miradouro.ingest.publishing import Unpublished

    for one in found:
        if isinstance(one, Unpublished):
            wrong.append(f"{one.where}: {one.error.message}")
            continue
        for fault in one.beside.faults if one.beside else ():
            click.echo(printable(f"sidecar: {fault.path}: {fault.reason}"), err=True)
        try:
            yield record_of(one)
        except InvalidArgument as exc:
            wrong.append(f"{one.photo_id}: {exc.message}")
