"""`miradouro search`: ask one question."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from miradouro.cli.options import (
    check_one_place,
    collection_option,
    data_option,
    json_option,
    offline_option,
    server_option,
    settings_of,
    utf8,
)
from miradouro.cli.read_photo import read_photo
from miradouro.core.error_text import shown
from miradouro.core.errors import BadPhoto, InvalidArgument

if TYPE_CHECKING:
    from miradouro.v1.photo_event_pb2 import Region
    from miradouro.v1.search_service_pb2 import Facet, Filter, SearchRequest, SearchResponse

MAX_UINT32 = 2**32 - 1
FACETS = ("tag", "owner", "year", "camera")


@click.command()
@click.option("--keyword", "keywords", multiple=True, metavar="W…", help="Tags, any of them; quote one of several words.")
@click.argument("more_keywords", nargs=-1, metavar="")
@click.option("--text", metavar="T", help='Words, "a phrase" that must occur, -word that must not.')
@click.option("--photo", type=click.Path(path_type=Path), metavar="FILE", help="Photos that look like this file.")
@click.option("--like", metavar="ID", help="Photos that look like this indexed photo.")
@click.option(
    "--region",
    metavar="X,Y,W,H",
    help="Part of --photo or --like to look for, in fractions of its width and height from the top left.",
)
@click.option("--space", default="", metavar="S", help="Vector space to compare in, for --photo and --like.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="F",
    help="Conditions that every hit fulfils, as 'tag:dog -owner:Ana taken:2024 near:38.7,-9.1,2km'; may be repeated. "
    "Without a question: list all that pass.",
)
@click.option("--sort", type=click.Choice(["relevance", "taken"]), help="Best first, or newest first. Default: relevance.")
@click.option(
    "--facet",
    "facets",
    multiple=True,
    metavar="FIELD[:N]",
    help=f"Count the photos of each {', '.join(FACETS[:-1])} or {FACETS[-1]}, the N commonest, 10 by default; may be repeated.",
)
@click.option("--limit", type=int, metavar="N", help="Hits to print, 1 to 1,000. Default: 10.")
@click.option("--all", "every", is_flag=True, help="Print every hit that pages reach, instead of --limit.")
@click.option("--max-distance", type=float, metavar="D", help="Largest distance, 0 to 2, for --photo and --like.")
@click.option("--more", is_flag=True, help="More of this kind: mix the first three hits into --photo or --like and ask again.")
@click.option("--exact", is_flag=True, help="Use no approximate structure.")
@server_option
@collection_option
@data_option
@offline_option
@json_option
def search(
    *,
    keywords: tuple[str, ...],
    more_keywords: tuple[str, ...],
    text: str | None,
    photo: Path | None,
    like: str | None,
    region: str | None,
    space: str,
    filters: tuple[str, ...],
    sort: str | None,
    facets: tuple[str, ...],
    limit: int | None,
    every: bool,
    max_distance: float | None,
    more: bool,
    exact: bool,
    server: str | None,
    collection: str,
    data: Path | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Find photos by tag, by words, by an example or by an indexed photo: one of --keyword, --text, --photo, --like.

    With a --filter, --sort or --facet none of them is needed: then all photos that pass the filters are listed.
    """
    asked = {"--keyword": keywords or None, "--text": text, "--photo": photo, "--like": like}
    kinds = [name for name, value in asked.items() if value is not None]
    if more_keywords and not keywords:
        wanted = "do you mean --keyword, or --text?"
        if kinds or filters:
            wanted = f"{f'words for {kinds[0]} go' if kinds else 'a value of --filter goes'} into one pair of quotes"
        raise click.UsageError(f"{shown(more_keywords[0])} belongs to no option; {wanted}")
    if len(kinds) > 1 or not (kinds or filters or sort or facets):
        given = " and ".join(kinds) or "none"
        listing = "" if kinds else ", and nothing to list by: --filter, --sort or --facet"
        raise click.UsageError(f"ask one of {', '.join(asked)}; {given} given{listing}")
    check_one_place(server=server, data=data)
    if every and limit is not None:
        raise click.UsageError("--all and --limit exclude each other")

    from miradouro.cli.doors import open_search
    from miradouro.cli.output import search_json, search_lines, write_json
    from miradouro.core.query import MAX_LIMIT
    from miradouro.v1 import search_service_pb2 as pb

    settings = settings_of(data=data, offline=offline, words_only=photo is None and like is None)
    request = pb.SearchRequest(collection=utf8(collection, "collection"), space=utf8(space, "space"), exact=exact, more=more)
    if limit is not None:
        if not 0 <= limit <= MAX_UINT32:
            raise InvalidArgument("limit", f"{limit:,}; allowed: 1 to 1,000")
        request.limit = limit
    if every:
        request.limit = MAX_LIMIT
    if max_distance is not None:
        request.max_distance = max_distance
    if sort == "taken":
        request.sort = pb.SORT_ORDER_TAKEN
    request.filters.extend(_filters(filters))
    request.facets.extend(_facet(text) for text in facets)
    box = _region(region) if region is not None else None
    if box and photo is None and like is None:
        raise InvalidArgument("region", "it is set, but words have no region; leave it out, or ask by photo or like")
    if keywords:
        words = [utf8(word, "keyword.words") for word in (*keywords, *more_keywords)]
        request.keyword.CopyFrom(pb.KeywordQuery(words=words))
    elif text is not None:
        request.text.CopyFrom(pb.TextQuery(text=utf8(text, "text.text")))
    elif photo is not None:
        request.photo.CopyFrom(pb.ExampleQuery(data=_read_photo(photo), region=box))
    elif like is not None:
        request.like.CopyFrom(pb.LikeQuery(photo_id=utf8(like, "like.photo_id"), region=box))
    else:
        request.everything.CopyFrom(pb.EverythingQuery())
    with open_search(settings, server=server, space=space, region=box is not None) as door:
        answer = door.Search(request)
        if every:
            _add_pages(answer, request, door.Search)
    if as_json:
        write_json(search_json(answer, with_times=sort == "taken"))
        return
    for line in search_lines(answer, with_times=sort == "taken"):
        click.echo(line)


def _add_pages(answer: "SearchResponse", request: "SearchRequest", ask: Callable[["SearchRequest"], "SearchResponse"]) -> None:
    """Adds the hits of every further page to `answer`."""
    del request.facets[:]  # they are counted once
    token = answer.next_page_token
    while token:
        request.page_token = token
        page = ask(request)
        answer.hits.extend(page.hits)
        answer.took_ms += page.took_ms
        token = page.next_page_token


def _filters(texts: Iterable[str]) -> "list[Filter]":
    if not texts:
        return []
    from miradouro.core.filter_grammar import parse_filter
    from miradouro.query.filters import filters_of

    return [one for text in texts for one in filters_of(parse_filter(text))]


def _facet(text: str) -> "Facet":
    from miradouro.v1 import search_service_pb2 as pb

    name, colon, size = text.partition(":")
    if name not in FACETS or (colon and not (size.isascii() and size.isdigit() and int(size) <= MAX_UINT32)):
        raise InvalidArgument("facet", f"{shown(text)}; allowed: {', '.join(FACETS)}, each with the number of values, as tag:20")
    facet = pb.Facet(field=f"FACET_FIELD_{name.upper()}")
    if colon:
        facet.size = int(size)
    return facet


def _region(text: str) -> "Region":
    from miradouro.v1.photo_event_pb2 import Region

    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError as exc:
        raise InvalidArgument(
            "region", f"{shown(text)} is not X,Y,WIDTH,HEIGHT; write four fractions, as 0.5,0,0.5,0.5 for the top right quarter"
        ) from exc
    return Region(x=x, y=y, width=width, height=height)


def _read_photo(path: Path) -> bytes:
    """The file's bytes. Raises BadPhoto when there are none to be had, or more than any server takes."""
    from miradouro.core.photo_limits import MAX_PHOTO_BYTES

    data = read_photo(path, MAX_PHOTO_BYTES)
    if len(data) > MAX_PHOTO_BYTES:
        raise BadPhoto("too_many_bytes", f"{path} has more than {MAX_PHOTO_BYTES:,} bytes; scale it down")
    return data
