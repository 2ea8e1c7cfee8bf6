"""What `miradouro index --dry-run` prints, a file at a time: a folder may hold more of them than fit into the memory."""

import json
from collections.abc import Iterable

import click

from miradouro.cli.output import report_counts, report_json
from miradouro.core.printable import printable
from miradouro.v1 import ingest_service_pb2
from miradouro.v1.ingest_service_pb2 import FolderReport, IndexFolderResponse, PlannedFile

_ACTIONS = {
    ingest_service_pb2.PLANNED_ACTION_NEW: "new",
    ingest_service_pb2.PLANNED_ACTION_CHANGED: "changed",
    ingest_service_pb2.PLANNED_ACTION_UNCHANGED: "unchanged",
    ingest_service_pb2.PLANNED_ACTION_DELETED: "deleted",
    ingest_service_pb2.PLANNED_ACTION_IGNORED: "ignored",
    ingest_service_pb2.PLANNED_ACTION_FAILED: "failed",
}
_JSON_START = '{"dry_run": true, "files": ['


def write_plan(responses: Iterable[IndexFolderResponse], *, as_json: bool) -> None:
    """Writes the plan of a dry run, and its counts: one JSON document, or lines for a person."""
    report, failed = FolderReport(), FolderReport()
    write = _write_json_file if as_json else _write_line
    count = 0
    for response in responses:
        if response.HasField("report"):
            report = response.report
        for file in response.plan.files:
            write(file, is_first=not count)
            count += 1
            if file.action == ingest_service_pb2.PLANNED_ACTION_FAILED:
                failed.failed.add(path=file.path, code=file.code, reason=file.reason)
    report.failed.extend(failed.failed)
    if as_json:
        click.echo(("" if count else _JSON_START) + "], " + json.dumps(report_json(report), allow_nan=False)[1:])
        return
    for line in report_counts(report):
        click.echo(line)
    if report.withheld_reason:
        click.echo(printable(f"deletions would be withheld: {report.withheld_reason}"))
    click.echo("nothing was changed: this was a dry run")


def _write_json_file(file: PlannedFile, *, is_first: bool) -> None:
    entry = {"path": file.path, "action": _ACTIONS[file.action], "code": file.code, "reason": file.reason}
    click.echo((_JSON_START if is_first else ",\n") + json.dumps(entry, allow_nan=False), nl=False)


def _write_line(file: PlannedFile, *, is_first: bool) -> None:  # noqa: ARG001 # JSON needs it
    reason = f": {file.reason}" if file.reason else ""
    click.echo(printable(f"{_ACTIONS[file.action]:<9}  {file.path or './'}{reason}"))
