"""`miradouro demo`: sample photos or a person's own, one question of each kind, and a page of the answers."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import platformdirs

from miradouro.cli.options import settings_of, utf8

if TYPE_CHECKING:
    from miradouro.core.ports import PhotoReader
    from miradouro.runtime.tokens import Tokens
    from miradouro.standalone.demo.contact_sheet import Answer
    from miradouro.standalone.demo.tour import Tour

ANY_PORT = "127.0.0.1:0"
SHOWN_TAGS = 3


@click.command()
@click.option("--photos", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR", help="Your own photos.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where sample photos, index and page are kept. Default: `demo` in the user's cache folder of miradouro.",
)
@click.option("--serve/--no-serve", default=True, show_default=True, help="Leave the services up afterwards, until Ctrl-C.")
@click.option("--listen", metavar="HOST:PORT", help="As for `miradouro up`.")
@click.option("--http", metavar="HOST:PORT", help="As for `miradouro up`.")
@click.pass_context
def demo(
    ctx: click.Context, *, photos: Path | None, folder: Path | None, serve: bool, listen: str | None, http: str | None
) -> None:
    """Index sample photos through the services, ask one question of each kind, and write a page of the answers."""
    from miradouro.cli.up import up
    from miradouro.runtime.grpc_server import running
    from miradouro.runtime.metrics import process_registry
    from miradouro.runtime.security import ServerSecurity
    from miradouro.runtime.settings import ServerSettings, load
    from miradouro.standalone.composition import open_all
    from miradouro.standalone.configuration import Configuration
    from miradouro.standalone.owner_token import make_owner_token

    place = (folder or platformdirs.user_cache_path("miradouro") / "demo").absolute()
    data = _data_folder(place, photos)
    configuration = Configuration(standalone=settings_of(data=data))
    tour, owner = _tour(place, photos, data), make_owner_token(data)
    with (
        open_all(configuration, registry=process_registry()) as parts,
        running(
            parts.services, security=ServerSecurity(owner=owner), listen=ANY_PORT, limits=load(ServerSettings).limits
        ) as server,
    ):
        parts.publish_address(server.target)
        _take(tour, server.target, owner, parts.reading.reader)
    if serve:
        click.echo("\nThe services stay up until Ctrl-C: gRPC where it says ready, and a page to search on where it says open.")
        ctx.invoke(up, data=data, listen=listen, http=http, offline=False, no_token=False)


def _tour(place: Path, photos: Path | None, data: Path) -> "Tour":
    """What to show: the person's photos, or the samples, fetched where they are missing."""
    from miradouro.bundles.progress import default_progress
    from miradouro.standalone.demo.samples import QUESTIONS, gather, samples
    from miradouro.standalone.demo.tour import Tour

    sheet, cut_file = place / "contact-sheet.html", _shown(place / "question.jpg")
    command = (_program(), "search", "--data", str(_shown(data)))
    if photos is not None:
        return Tour(photos.absolute(), sheet, cut_file, command)
    root = place / "photos"
    gather(root, progress=default_progress())
    return Tour(root, sheet, cut_file, command, tuple(sample.credit() for sample in samples()), QUESTIONS)


def _data_folder(place: Path, photos: Path | None) -> Path:
    """Every folder of photos has a data folder of its own, so that the demonstration can be given one after the other."""
    if photos is None:
        return place / "data"
    return place / f"data-{hashlib.sha256(utf8(str(photos.absolute()), 'photos').encode()).hexdigest()[:12]}"


def _program() -> str:
    """The command as typed in this shell."""
    return "miradouro" if shutil.which("miradouro") else str(_shown(Path(sys.argv[0])))


def _shown(path: Path) -> Path:
    """The path relative to the working folder, if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _take(tour: "Tour", target: str, owner: "Tokens", reader: "PhotoReader") -> None:
    from miradouro.cli.output import report_lines
    from miradouro.cli.progress import shown_progress
    from miradouro.runtime.grpc_client import open_channel
    from miradouro.runtime.security import ClientSecurity
    from miradouro.standalone.demo.tour import take

    click.echo(f"The services run on {target}. They look at the photos in {tour.root} …")
    with open_channel(target, security=ClientSecurity(tokens=owner)) as channel, shown_progress() as show:
        report, answers = take(channel, tour, reader=reader, peer=target, on_progress=show)
    for line in report_lines(report):
        click.echo(line)
    for answer in answers:
        click.echo()
        for line in _lines(answer):
            click.echo(line)
    click.echo(f"\nOpen this page to see the photos: {tour.sheet.as_uri()}")


def _lines(answer: "Answer") -> Iterator[str]:
    """An answer for the terminal: the question as a command, then a line for each hit."""
    from miradouro.core.printable import printable

    yield printable(f"{answer.question}  ({answer.summary})")
    yield f"  $ {printable(answer.command)}"
    width = max((len(printable(hit.photo_id)) for hit in answer.hits), default=0)
    for rank, hit in enumerate(answer.hits, 1):
        tags = ", ".join(f"{tag.label} {tag.score:.2f}" for tag in hit.tags[:SHOWN_TAGS])
        yield f"  {rank}. {hit.measure:<14}  {printable(hit.photo_id):<{width}}  {printable(tags)}".rstrip()
