"""`miradouro search`: ask one question."""

from pathlib import Path

import click

from miradouro.cli.options import collection_option, data_option, json_option, offline_option, settings_of, utf8
from miradouro.core.errors import BadPhoto, InvalidArgument

MAX_UINT32 = 2**32 - 1


@click.command()
@click.option("--keyword", "keywords", multiple=True, metavar="W…", help="Tags, any of them; quote one of several words.")
@click.argument("more_keywords", nargs=-1, metavar="")
@click.option("--text", metavar="T", help='Words, "a phrase" that must occur, -word that must not.')
@click.option("--photo", type=click.Path(path_type=Path), metavar="FILE", help="Photos that look like this file.")
@click.option("--like", metavar="ID", help="Photos that look like this indexed photo.")
@click.option("--space", default="", metavar="S", help="Vector space to compare in, for --photo and --like.")
@click.option("--limit", type=int, metavar="N", help="Hits to print, 1 to 1,000. Default: 10.")
@click.option("--max-distance", type=float, metavar="D", help="Largest distance, 0 to 2, for --photo and --like.")
@click.option("--exact", is_flag=True, help="Use no approximate structure.")
@click.option("--server", metavar="HOST:PORT", help="Ask this server instead of a data folder.")
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
    space: str,
    limit: int | None,
    max_distance: float | None,
    exact: bool,
    server: str | None,
    collection: str,
    data: Path | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Find photos by tag, by words, by an example or by an indexed photo: one of --keyword, --text, --photo, --like."""
    asked = {"--keyword": keywords or None, "--text": text, "--photo": photo, "--like": like}
    kinds = [name for name, value in asked.items() if value is not None]
    if len(kinds) != 1:
        raise click.UsageError(f"ask one of {', '.join(asked)}; {' and '.join(kinds) or 'none'} given")
    if more_keywords and not keywords:
        raise click.UsageError(f"{more_keywords[0]!r} belongs to no option; words for {kinds[0]} go into one pair of quotes")
    if server is not None and data is not None:
        raise click.UsageError("--server and --data exclude each other: a server has its own data folder")

    from miradouro.cli.doors import open_search
    from miradouro.cli.output import search_json, search_lines, write_json
    from miradouro.v1.search_service_pb2 import ExampleQuery, KeywordQuery, LikeQuery, SearchRequest, TextQuery

    settings = settings_of(data=data, offline=offline)
    request = SearchRequest(collection=utf8(collection, "collection"), space=utf8(space, "space"), exact=exact)
    if limit is not None:
        if not 0 <= limit <= MAX_UINT32:
            raise InvalidArgument("limit", f"{limit:,}; allowed: 1 to 1,000")
        request.limit = limit
    if max_distance is not None:
        request.max_distance = max_distance
    if keywords:
        words = [utf8(word, "keyword.words") for word in (*keywords, *more_keywords)]
        request.keyword.CopyFrom(KeywordQuery(words=words))
    elif text is not None:
        request.text.CopyFrom(TextQuery(text=utf8(text, "text.text")))
    elif photo is not None:
        request.photo.CopyFrom(ExampleQuery(data=_read_photo(photo)))
    elif like is not None:
        request.like.CopyFrom(LikeQuery(photo_id=utf8(like, "like.photo_id")))
    with open_search(settings, server=server, space=space) as door:
        answer = door.Search(request)
    if as_json:
        write_json(search_json(answer))
        return
    for line in search_lines(answer):
        click.echo(line)


def _read_photo(path: Path) -> bytes:
    """The file's bytes. Raises BadPhoto when there are none to be had, or more than any server takes."""
    from miradouro.core.decode import DEFAULT_LIMITS

    try:
        with path.open("rb") as file:
            data = file.read(DEFAULT_LIMITS.max_bytes + 1)
    except OSError as exc:
        raise BadPhoto("unreadable", f"{path} can't be read: {exc.strerror}; name a file that can") from exc
    if len(data) > DEFAULT_LIMITS.max_bytes:
        raise BadPhoto("too_many_bytes", f"{path} has more than {DEFAULT_LIMITS.max_bytes:,} bytes; scale it down")
    return data
