"""`miradouro failures` and `miradouro retry`, in one process and through the server that holds the data folder."""

import json
from datetime import datetime

import pytest

from tests.e2e.command import run, up
from tests.e2e.conftest import make_photos
from tests.pictures import jpeg

pytestmark = pytest.mark.usefixtures("models_dir")


def test_failures_are_listed_with_reasons_and_retried(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["good.jpg"]), tmp_path / "data"
    for name in ("a.jpg", "b\n.jpg", "c.jpg"):
        (photos / name).write_bytes(b"broken")
    assert len(run("index", photos, "--data", data, "--json").json["failed"]) == 3

    listed = run("failures", "--data", data, "--json").json["failures"]
    assert [(one["photo_id"], one["reason"], one["collection"], one["version"]) for one in listed] == [
        ("a.jpg", "not_a_photo", "photos", 1),
        ("b\n.jpg", "not_a_photo", "photos", 1),
        ("c.jpg", "not_a_photo", "photos", 1),
    ]
    assert all(one["message"] and one["uri"].startswith("file:///") for one in listed)
    assert all(datetime.fromisoformat(one["failed_at"]).tzinfo for one in listed)
    lines = run("failures", "--data", data).out.splitlines()
    assert (len(lines), lines[1].startswith("photos: b\\n.jpg: "), lines[-1]) == (4, True, "3 failed")
    assert run("failures", "--data", data, "--collection", "other", "--json").json == {"failures": []}

    (photos / "a.jpg").write_bytes(jpeg(240, 200, seed=5))
    report = run("retry", "--data", data, "a.jpg", "--json").json
    assert [(one["photo_id"], one["status"]) for one in report["photos"]] == [("a.jpg", "stored")]
    assert (report["stored"], report["settled"], report["failed"], report["impossible"]) == (1, 0, 0, 0)
    unknown = run("retry", "--data", data, "a.jpg")
    assert (unknown.code, "'a.jpg'" in unknown.err) == (1, True)

    with up(data):
        assert run("failures", "--data", data, "--json").json["failures"] == listed[1:]
        (photos / "b\n.jpg").write_bytes(jpeg(240, 200, seed=6))
        done = run("retry", "--data", data, "--collection", "photos")
        assert done.code == 3
        assert done.out.splitlines()[0] == "stored: photos: b\\n.jpg"
        assert done.out.splitlines()[1].startswith("failed: photos: c.jpg: ")
        assert done.out.splitlines()[-1] == "1 stored, 0 settled, 1 failed, 0 impossible"
        assert [one["photo_id"] for one in run("failures", "--data", data, "--json").json["failures"]] == ["c.jpg"]
        done = run("retry", "--data", data)
        assert (done.code, done.err) == (1, "error: none of the 1 photos could be indexed\n")
    (photos / "c.jpg").write_bytes(jpeg(240, 200, seed=7))
    assert [run("retry", "--data", data).code for _ in range(2)] == [0, 0]


def test_nothing_is_pulled_offline(tmp_path, monkeypatch):
    photos, data = make_photos(tmp_path / "photos", ["good.jpg"]), tmp_path / "data"
    (photos / "a.jpg").write_bytes(b"broken")
    run("index", photos, "--data", data)
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    done = run("retry", "--data", data, "--offline")
    assert (done.code, done.out) == (1, "")
    assert "miradouro models pull efficientnet-lite0 --precision int8" in done.err


def test_without_an_index_there_is_nothing_to_list(tmp_path):
    done = run("failures", "--data", tmp_path / "data")
    assert (done.code, "index" in done.err) == (1, True)
    assert not (tmp_path / "data").exists()


def test_faults_of_sidecars_are_reported_but_not_failures(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["good.jpg"]), tmp_path / "data"
    (photos / "good.json").write_text(json.dumps({"taken_at": "9" * 1_000_000, "caption": "kept"}))
    done = run("index", photos, "--data", data, "--json")
    assert (done.code, done.json["indexed"], done.json["failed"]) == (0, 1, [])
    [fault] = done.json["sidecars"]
    assert (fault["path"], fault["reason"].startswith("taken_at: "), len(fault["reason"]) <= 1_000) == ("good.json", True, True)
    assert run("failures", "--data", data, "--json").json["failures"] == []
    (photos / "good.json").write_text("{")
    *lines, counts = run("index", photos, "--data", data).out.splitlines()
    assert lines[0].startswith("sidecar: good.json: it is not JSON: ")
    assert counts.endswith(", 0 failed, sidecars not read in full: 1")
