"""A dry run lists what a run would do, and does none of it; patterns of a run go before ignore files."""

from pathlib import Path

import pytest
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.runtime.call import Call
from miradouro.v1 import ingest_service_pb2
from miradouro.v1.ingest_service_pb2 import FolderReport, IndexFolderRequest

from tests.ingest_fixture import IngestFixture
from tests.photo_folder import counts, write
from tests.pictures import jpeg


def plan(ingest: IngestFixture, folder: Path, **request: object) -> tuple[dict[tuple[str, str], str], FolderReport]:
    """(path, action) → code, and the report."""
    asked = IndexFolderRequest(path=str(folder), dry_run=True, **request)  # type: ignore[arg-type]  # checked by protobuf
    *plans, last = ingest.service.IndexFolder(asked, Call())
    action = ingest_service_pb2.PlannedAction.Name
    files = [file for message in plans for file in message.plan.files]
    return {(one.path, action(one.action).removeprefix("PLANNED_ACTION_")): one.code for one in files}, last.report


def test_a_dry_run_lists_files_and_changes_nothing(ingest, folder):
    for name in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg", "d.jpg"):
        write(folder / name, jpeg())
    ingest.index_folder(folder)
    before = ingest.photos()
    write(folder / "a.jpg", jpeg(seed=9), seconds_ago=5)
    (folder / "gone.jpg").unlink()
    (folder / "link.jpg").symlink_to(folder / "nowhere")
    write(folder / "new.jpg", jpeg(seed=99))
    write(folder / "raw.nef", b"II*\0")
    write(folder / "@eaDir/a.jpg", jpeg())
    files, report = plan(ingest, folder, ignore=["b.jpg"])

    assert files == {
        ("a.jpg", "CHANGED"): "",
        ("b.jpg", "DELETED"): "",
        ("b.jpg", "IGNORED"): "ignore_option",
        ("c.jpg", "UNCHANGED"): "",
        ("d.jpg", "UNCHANGED"): "",
        ("gone.jpg", "DELETED"): "",
        ("link.jpg", "FAILED"): "unreadable",
        ("new.jpg", "NEW"): "",
        ("raw.nef", "IGNORED"): "raw_file",
        ("@eaDir/", "IGNORED"): "thumbnail",
    }
    assert counts(report)[:4] == (2, 2, 2, 2)
    assert (report.failed_total, dict(report.ignored_by), report.ignored_folders) == (1, {"ignore_option": 1, "raw_file": 1}, 1)
    assert ingest.photos() == before
    assert ingest.failures() == {}
    assert counts(ingest.index_folder(folder))[:4] == (2, 3, 1, 1)


def test_a_dry_run_makes_no_collection(ingest, folder):
    write(folder / "a.jpg", jpeg())

    assert plan(ingest, folder, collection="other")[0] == {("a.jpg", "NEW"): ""}
    assert ingest.index.stats() == []
    ingest.index_folder(folder)
    (folder / "deeper").mkdir()
    with pytest.raises(FailedPrecondition, match="mirrors"):
        plan(ingest, folder / "deeper")
    with pytest.raises(InvalidArgument, match="no folder"):
        plan(ingest, folder / "nowhere", collection="other")


def test_patterns_of_a_run_override_ignore_files(ingest, folder):
    for name in ("a.png", "b.png", "c.jpg", "screens/d.jpg"):
        write(folder / name, jpeg())
    write(folder / ".miradouroignore", b"*.png")
    request = IndexFolderRequest(path=str(folder), ignore=["/screens/", "!b.png"])
    report = list(ingest.service.IndexFolder(request, Call()))[-1].report

    assert set(ingest.photos()) == {"b.png", "c.jpg"}
    assert dict(report.ignored_by) == {"hidden": 1, "ignore_file": 1}
    assert report.ignored_folders == 1
    ingest.index_folder(folder)
    assert set(ingest.photos()) == {"c.jpg", "screens/d.jpg"}


@pytest.mark.parametrize("pattern", ["!", "a" * 2_000, "*a*a*a*a*b", "**/a/**/a/**/a/**/b"])
def test_a_pattern_that_cannot_be_used_is_refused(ingest, folder, pattern):
    with pytest.raises(InvalidArgument, match=r"^ignore: "):
        list(ingest.service.IndexFolder(IndexFolderRequest(path=str(folder), ignore=[pattern]), Call()))
