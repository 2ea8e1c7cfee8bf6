"""`miradouro keywords`: learns keywords from the tags that people gave."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from miradouro.cli.options import check_one_place, collection_option, data_option, json_option, server_option, settings_of, utf8

if TYPE_CHECKING:
    from miradouro.v1.ingest_service_pb2 import Keyword, KeywordReport, LearnKeywordsResponse, RemoveKeywordsResponse

INTERRUPTED = "interrupted; the same command goes on where it stopped"


@click.group()
def keywords() -> None:
    """Keywords learned from the tags that people gave, and given to the other photos of the collection.

    Without --server the commands work on the data folder, through its server where one runs. --server names an ingest service.
    """


@keywords.command()
@click.option("--space", required=True, metavar="SPACE", help="Space to learn from, for example efficientnet-lite0/features.")
@click.option("--hidden", type=click.IntRange(0, 4_096), default=0, show_default=True, help="Hidden units; 0 for a perceptron.")
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.8,
    show_default=True,
    help="Precision that the threshold of each keyword is to reach.",
)
@click.option("--only", multiple=True, metavar="KEYWORD", help="Learn this keyword, no others. May be given again.")
@collection_option
@data_option
@server_option
@json_option
def learn(
    *,
    space: str,
    hidden: int,
    precision: float,
    only: tuple[str, ...],
    collection: str,
    data: Path | None,
    server: str | None,
    as_json: bool,
) -> None:
    """Learn the tags that people gave to five photos or more, and tag every photo of the collection with them.

    No network runs: the photos' stored vectors are learned from, and tagged. Needs the extra `keywords`. Learning again replaces
    the keywords and the learned tags.
    """
    from miradouro.v1.ingest_service_pb2 import LearnKeywordsRequest

    request = LearnKeywordsRequest(
        collection=utf8(collection, "collection"),
        space=utf8(space, "space"),
        hidden=hidden,
        precision=precision,
        only=[utf8(word, "only") for word in only],
    )
    with _door(data, server) as door:
        report = _followed(door.LearnKeywords(request), "tagging")
    if as_json:
        _write(_learned_json(report))
        return
    _write_lines(_report_lines(report))
    if report.left_out:
        _write_lines([f"left out, fewer than 5 photos: {', '.join(report.left_out)}"])
    if report.without_vectors:
        _write_lines([f"left out, no vectors of {report.space}: {report.without_vectors:,} photos"])
    _write_lines([f"photos with other tags than before: {report.changed:,}"])


@keywords.command("list")
@data_option
@server_option
@json_option
def list_(*, data: Path | None, server: str | None, as_json: bool) -> None:
    """List the learned keywords of every collection, with their quality in cross-validation."""
    from miradouro.v1.ingest_service_pb2 import ListKeywordsRequest

    with _door(data, server, writer=False) as door:
        answer = door.ListKeywords(ListKeywordsRequest())
    if as_json:
        _write({"collections": [_report_json(report) for report in answer.collections]})
        return
    for report in answer.collections:
        _write_lines(_report_lines(report))
    if not answer.collections:
        click.echo("no collection has learned keywords")


@keywords.command()
@click.option("--on", default="", metavar="NAME", help="Collection of the photos to measure on. Default: that of the keywords.")
@collection_option
@data_option
@server_option
@json_option
def test(*, on: str, collection: str, data: Path | None, server: str | None, as_json: bool) -> None:
    """Measure learned keywords on photos that people tagged.

    In the collection itself the keywords were learned from these photos, which flatters them: measure on another one, or rely on
    the cross-validation that `learn` and `list` print.
    """
    from miradouro.v1.ingest_service_pb2 import TestKeywordsRequest

    request = TestKeywordsRequest(collection=utf8(collection, "collection"), on=utf8(on, "on"))
    with _door(data, server, writer=False) as door:
        report = door.TestKeywords(request).report
    if as_json:
        _write(_report_json(report) | {"without_vectors": report.without_vectors})
        return
    _write_lines(_report_lines(report))


@keywords.command()
@collection_option
@data_option
@server_option
@json_option
def remove(*, collection: str, data: Path | None, server: str | None, as_json: bool) -> None:
    """Remove the learned keywords of a collection, and the learned tags of its photos."""
    from miradouro.v1.ingest_service_pb2 import RemoveKeywordsRequest

    request = RemoveKeywordsRequest(collection=utf8(collection, "collection"))
    with _door(data, server) as door:
        report = _followed(door.RemoveKeywords(request), "removing tags")
    if as_json:
        _write({"collection": report.collection, "changed": report.changed})
        return
    click.echo(f"{report.collection}: learned keywords removed, photos with other tags than before: {report.changed:,}")


def _door(data: Path | None, server: str | None, *, writer: bool = True) -> Any:
    check_one_place(server=server, data=data)
    from miradouro.cli.doors import open_ingest

    return open_ingest(settings_of(data=data), server=server, writer=writer)


def _followed(messages: "Iterator[LearnKeywordsResponse] | Iterator[RemoveKeywordsResponse]", doing: str) -> "KeywordReport":
    """The report at the end of a stream; shows its progress."""
    from miradouro.cli.progress import shown_steps

    try:
        with shown_steps() as show:
            for message in messages:
                if message.HasField("report"):
                    return message.report
                show(doing, message.progress.done, message.progress.done)
    except KeyboardInterrupt as exc:
        raise KeyboardInterrupt(INTERRUPTED) from exc
    raise RuntimeError("the stream ended without its report")


def _learned_json(report: "KeywordReport") -> dict[str, Any]:
    return _report_json(report) | {
        "left_out": list(report.left_out),
        "without_vectors": report.without_vectors,
        "changed": report.changed,
    }


def _report_json(report: "KeywordReport") -> dict[str, Any]:
    return {
        "collection": report.collection,
        "space": report.space,
        "hidden": report.hidden,
        "wanted_precision": report.wanted_precision,
        "provenance": report.provenance,
        "photos": report.photos,
        "top1": report.top1,
        "keywords": [_keyword_json(one) for one in report.keywords],
    }


def _keyword_json(keyword: "Keyword") -> dict[str, Any]:
    return {
        "label": keyword.label,
        "photos": keyword.photos,
        "precision": keyword.precision,
        "recall": keyword.recall,
        "threshold": keyword.threshold if keyword.HasField("threshold") else None,
    }


def _report_lines(report: "KeywordReport") -> Iterator[str]:
    kind = f"{report.hidden:,} hidden units" if report.hidden else "perceptron"
    yield (
        f"{report.collection}: {len(report.keywords):,} keywords from {report.space}, {kind}; {report.photos:,} photos, "
        f"most probable keyword right {report.top1:.3f}"
    )
    width = max(len(one.label) for one in report.keywords)
    for one in report.keywords:
        at = f"from {one.threshold:.4f}" if one.HasField("threshold") else "given to no photo: the precision is not reached"
        yield f"    {one.label:<{width}}  {one.photos:>6,} photos  precision {one.precision:.3f}  recall {one.recall:.3f}  {at}"


def _write(value: Any) -> None:
    from miradouro.cli.output import write_json

    write_json(value)


def _write_lines(lines: "Iterator[str] | list[str]") -> None:
    from miradouro.core.printable import printable

    for line in lines:
        click.echo(printable(line))
