"""`miradouro pipeline simulate`: the document of a photo without an index, and how each step went."""

import json
from pathlib import Path

import pytest

from tests.e2e.command import run
from tests.e2e.conftest import make_photos

pytestmark = pytest.mark.usefixtures("models_dir")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "photos", ["a.jpg"]) / "a.jpg"


def test_the_document_equals_the_indexed_one(photo, tmp_path):
    photo.with_suffix(".json").write_text(json.dumps({"caption": "Boats", "taken_at": "2024-05-01T08:30:00+01:00", "version": 5}))
    report = run("pipeline", "simulate", photo, "--json").json

    assert [(step["name"], step["outcome"], step["error"]) for step in report["steps"]] == [
        (name, "done", None) for name in ("fetch", "decode", "fingerprint", "exif", "embed", "tag", "keywords", "caption")
    ]
    assert all(step["took_ms"] >= 0 for step in report["steps"])
    assert (report["goes_to"], report["failure"]) == ("the index", None)
    document = report["document"]
    assert (document["photo_id"], document["caption"], document["version"]) == ("a.jpg", "Boats", 5)
    assert (document["taken_at"], document["place"]) == ("2024-05-01T08:30:00+01:00", None)
    regions = document["vectors"]["vgg16-conv/pool5/regions"]
    assert (regions["vectors"], regions["dimension"], len(regions["first"])) == (14, 256, 4)

    data = tmp_path / "data"
    assert run("index", photo.parent, "--data", data, "--json").json["indexed"] == 1
    [hit] = run("search", "--sort", "taken", "--data", data, "--json").json["hits"]
    assert (hit["uri"], hit["caption"]) == (document["uri"], document["caption"])
    assert [(tag["label"], tag["kind"]) for tag in hit["tags"]] == [(tag["label"], tag["kind"]) for tag in document["tags"]]


def test_another_sidecar_may_be_tried_and_is_printed(photo, tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"title": "Else", "tags": ["harbour"], "caption": 5}))
    done = run("pipeline", "simulate", photo, "--sidecar", tmp_path / "other.json")
    assert done.code == 0
    assert "sidecar: other.json: caption: 5 is not a text" in done.out.splitlines()
    assert '  title: "Else"' in done.out.splitlines()
    assert "harbour 1.00 (user)" in done.out
    assert "  efficientnet-lite0/features: 1 x 1280, begins " in done.out


def test_the_collection_name_is_used_and_checked(photo):
    assert run("pipeline", "simulate", photo, "--collection", "other", "--json").json["document"]["collection"] == "other"
    refused = run("pipeline", "simulate", photo, "--collection", "Other")
    assert (refused.code, refused.out) == (1, "")
    assert "'Other' is not a collection name" in refused.err


def test_nothing_is_pulled_offline(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    done = run("pipeline", "simulate", photo, "--offline")
    assert (done.code, done.out) == (1, "")
    assert "miradouro models pull efficientnet-lite0 --precision int8" in done.err


def test_a_failure_names_its_step_and_destination(photo):
    photo.write_bytes(b"broken")
    done = run("pipeline", "simulate", photo, "--json")
    report = json.loads(done.out)

    assert (done.code, report["document"], report["goes_to"]) == (1, None, "the failures")
    assert [(step["name"], step["outcome"]) for step in report["steps"]] == [("fetch", "done"), ("decode", "failed")]
    assert report["failure"]["reason"] == "not_a_photo"


def test_skipped_ignored_and_failed_steps_are_reported(photo, tmp_path, monkeypatch):
    file = tmp_path / "pipeline.yaml"
    monkeypatch.setenv("MIRADOURO_PIPELINE", str(file))
    file.write_text(
        "processors:\n- fetch: {if: width > 1, on_failure: [fetch]}\n- decode: {ignore_failure: true, if: 'media_type'}\n- tag\n"
    )
    done = run("pipeline", "simulate", photo, "--json")
    assert [(step["name"], step["outcome"]) for step in json.loads(done.out)["steps"]] == [
        ("fetch", "skipped"),
        ("decode", "skipped"),
        ("tag", "failed"),
    ]
    file.write_text(
        "processors:\n- fetch: {max_bytes: 10, on_failure: [fetch]}\n- decode: {max_pixels: 10, ignore_failure: true}\n"
    )
    report = run("pipeline", "simulate", photo, "--json").json
    assert [(step["name"], step["outcome"]) for step in report["steps"]] == [
        ("fetch", "failed, answered by on_failure"),
        ("fetch", "done"),
        ("decode", "failed, ignored"),
    ]
    file.write_text("processors: [decode]")
    assert json.loads(run("pipeline", "simulate", photo, "--json").out)["goes_to"] == "nowhere: the run stops"
