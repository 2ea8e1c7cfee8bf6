"""`miradouro index`: bring a collection in line with a folder."""

import os
from pathlib import Path

import click

from miradouro.cli.options import (
    collection_option,
    data_option,
    ignore_option,
    json_option,
    named_folder,
    offline_option,
    settings_of,
    utf8,
)

PRESETS = ("lean", "standard", "laboratory")
INTERRUPTED = "interrupted; what was indexed so far is kept: run the same command again to go on"


@click.command()
@click.argument("folder", metavar="DIR", callback=named_folder)
@click.option("--prune", is_flag=True, help="Delete photos even if the folder is missing, or more than half of them are gone.")
@click.option("--verify", is_flag=True, help="Read every file again: other bytes under the same size and times show.")
@ignore_option
@click.option("--dry-run", is_flag=True, help="List every file, what would be done with it and why; change nothing.")
@click.option("--preset", type=click.Choice(PRESETS), help="Spaces of a new collection. Default: MIRADOURO_SPACES, or standard.")
@click.option("--tagger", metavar="BUNDLE", help="Bundle that tags a new collection. Default: efficientnet-lite0.")
@click.option("--spaces", metavar="NAMES", help="Spaces of a new collection by name, separated by commas, in place of a preset.")
@collection_option
@data_option
@offline_option
@json_option
def index(
    *,
    folder: Path,
    prune: bool,
    verify: bool,
    ignore: tuple[str, ...],
    dry_run: bool,
    preset: str | None,
    tagger: str | None,
    spaces: str | None,
    collection: str,
    data: Path | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Bring a collection in line with the photos below DIR: new, changed and vanished ones. May be interrupted and repeated.

    A photo's id is its path relative to DIR. Files beside it describe it: STEM.json (caption, title, tags, owner, attributes,
    place, taken_at, version), XMP sidecars and the JSON of Google Takeout. None of them fails its photo: what cannot be read is
    reported under `sidecars`. Exits with 3 when some photos could not be indexed, or their deletion was withheld; all else is
    done.
    """
    from miradouro.adapters.sqlite_index import holds_index
    from miradouro.cli.doors import open_ingest, open_plan
    from miradouro.cli.exit_status import end_when_any_failed, end_when_withheld
    from miradouro.cli.folder_plan import write_plan
    from miradouro.cli.output import report_json, report_lines, write_json
    from miradouro.cli.progress import shown_progress
    from miradouro.core.errors import InvalidArgument
    from miradouro.core.event import DEFAULT_COLLECTION
    from miradouro.core.printable import printable
    from miradouro.v1.ingest_service_pb2 import FolderFailures, FolderReport, IndexFolderRequest

    if preset and spaces:
        raise click.UsageError("--preset and --spaces are two ways to say the same; give one")
    chosen = utf8(spaces or preset or "", "spaces")
    path = utf8(os.path.abspath(folder), "path")
    settings = settings_of(data=data, offline=offline)
    if os.path.isfile(path):
        raise InvalidArgument("path", f"{path} is a file; name the folder that it lies in")
    if not os.path.isdir(path) and not holds_index(settings.data_folder):  # an index may keep what was in a folder that went
        raise InvalidArgument("path", f"there is no folder {path}")
    request = IndexFolderRequest(
        path=path,
        collection=utf8(collection, "collection"),
        prune=prune,
        verify=verify,
        ignore=[utf8(pattern, "ignore") for pattern in ignore],
        dry_run=dry_run,
        preset=chosen,
        tagger=utf8(tagger or "", "tagger"),
    )
    if dry_run:
        with open_plan(settings) as door:
            write_plan(door.IndexFolder(request), as_json=as_json)
        return
    report = FolderReport()
    more: list[FolderFailures] = []
    try:
        with (
            open_ingest(
                settings, collection=request.collection or DEFAULT_COLLECTION, preset=chosen, tagger=request.tagger
            ) as door,
            shown_progress() as show,
        ):
            for response in door.IndexFolder(request):
                if response.HasField("progress"):
                    show(response.progress)
                elif response.HasField("more_failed"):
                    more.append(response.more_failed)
                else:
                    report = response.report
                    for one in more:
                        report.failed.extend(one.failed)
                        report.sidecars.extend(one.sidecars)
    except KeyboardInterrupt as exc:
        raise KeyboardInterrupt(INTERRUPTED) from exc
    if as_json:
        write_json(report_json(report))
    else:
        for line in report_lines(report):
            click.echo(line)
    done = report.indexed + report.moved + report.unchanged + report.deleted
    end_when_any_failed(len(report.failed), done=done + report.withheld, what=f"photos in {path} could be indexed")
    end_when_withheld(printable(report.withheld_reason))
