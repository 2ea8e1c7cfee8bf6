"""A dry run lists what a run would do, and does none of it; patterns of a run go before ignore files."""

from pathlib import Path

import pytest
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.runtime.call import Call
from miradouro.v1 import ingest_service_pb2
from miradouro.v1.ingest_service_pb2 import FolderReport, IndexFolderRequest

from tests.ingest_house import House
from tests.photo_folder import counts, write
from tests.pictures import jpeg


def plan(house: House, folder: Path, **request: object) -> tuple[dict[tuple[str, str], str], FolderReport]:
    """(path, action) → code, and the report."""
    asked = IndexFolderRequest(path=str(folder), dry_run=True, **request)  # type: ignore[arg-type]  # checked by protobuf
    *plans, last = house.service.IndexFolder(asked, Call())
    action = ingest_service_pb2.PlannedAction.Name
    files = [file for message in plans for file in message.plan.files]
    return {(one.path, action(one.action).removeprefix("PLANNED_ACTION_")): one.code for one in files}, last.report


def test_a_dry_run_lists_every_file_and_changes_nothing(house, folder):
    for name in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg", "d.jpg"):
        write(folder / name, jpeg())
    house.index_folder(folder)
    before = house.photos()
    write(folder / "a.jpg", jpeg(seed=9), seconds_ago=5)
    (folder / "gone.jpg").unlink()
    (folder / "link.jpg").symlink_to(folder / "nowhere")
    write(folder / "new.jpg", jpeg(seed=99))
    write(folder / "raw.nef", b"II*\0")
    write(folder / "@eaDir/a.jpg", jpeg())
    files, report = plan(house, folder, ignore=["b.jpg"])

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
    assert house.photos() == before
    assert house.failures() == {}
    assert counts(house.index_folder(folder))[:4] == (2, 3, 1, 1)


def test_a_dry_run_makes_no_collection(house, folder):
    write(folder / "a.jpg", jpeg())

    assert plan(house, folder, collection="other")[0] == {("a.jpg", "NEW"): ""}
    assert house.index.stats() == []
    house.index_folder(folder)
    (folder / "deeper").mkdir()
    with pytest.raises(FailedPrecondition, match="mirrors"):
        plan(house, folder / "deeper")
    with pytest.raises(InvalidArgument, match="no folder"):
        plan(house, folder / "nowhere", collection="other")


def test_patterns_of_a_run_go_before_ignore_files_and_are_not_remembered(house, folder):
    for name in ("a.png", "b.png", "c.jpg", "screens/d.jpg"):
        write(folder / name, jpeg())
    write(folder / ".miradouroignore", b"*.png")
    request = IndexFolderRequest(path=str(folder), ignore=["/screens/", "!b.png"])
    report = list(house.service.IndexFolder(request, Call()))[-1].report

    assert set(house.photos()) == {"b.png", "c.jpg"}
    assert dict(report.ignored_by) == {"hidden": 1, "ignore_file": 1}
    assert report.ignored_folders == 1
    house.index_folder(folder)
    assert set(house.photos()) == {"c.jpg", "screens/d.jpg"}


@pytest.mark.parametrize("pattern", ["!", "a" * 2_000, "*a*a*a*a*b", "**/a/**/a/**/a/**/b"])
def test_a_pattern_that_cannot_be_used_is_refused(house, folder, pattern):
    with pytest.raises(InvalidArgument, match=r"^ignore: "):
        list(house.service.IndexFolder(IndexFolderRequest(path=str(folder), ignore=[pattern]), Call()))
