"""Runs of a pipeline file, including a processor of another package."""

from pathlib import Path

import pytest
from miradouro.core.errors import ConfigurationError, Unavailable
from miradouro.ingest.pace import Pace
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_FAILED, EVENT_STATUS_STORED
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from PIL import Image

from tests.ingest_fixture import open_ingest
from tests.pictures import encode, jpeg

STEPS = ["fetch", "decode", "fingerprint", "embed", "tag", "caption"]


@pytest.fixture(autouse=True)
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "third_party"))


def pipeline(tmp_path: Path, *steps: str) -> str:
    path = tmp_path / "pipeline.yaml"
    path.write_text("processors:\n" + "".join(f"  - {step}\n" for step in steps))
    return str(path)


def event(photo_id: str, data: bytes, **fields: object) -> PhotoEvent:
    return PhotoEvent(
        event_id=photo_id,
        kind=PHOTO_EVENT_KIND_UPLOADED,
        collection="photos",
        photo_id=photo_id,
        version=1,
        data=data,
        **fields,
    )


def test_a_third_party_processor_adds_its_fields(tmp_path):
    file = pipeline(tmp_path, *STEPS[:3], "sharpness: {digits: 1}", *STEPS[3:])
    with open_ingest(tmp_path / "ingest", pipeline=file) as ingest:
        ingest.put(event("a", jpeg(), attributes={"camera": "X"}), event("flat", encode(Image.new("L", (40, 40)), "PNG")))

        assert dict(ingest.index.get("photos", "a").attributes).keys() == {"camera", "sharpness"}
        assert float(ingest.index.get("photos", "a").attributes["sharpness"]) > 1
        assert ingest.index.get("photos", "flat").attributes["sharpness"] == "0.0"


def test_a_processors_error_fails_only_its_photo(tmp_path):
    file = pipeline(tmp_path, *STEPS[:3], "sharpness: {fail_above: 0.5}", *STEPS[3:])
    with open_ingest(tmp_path / "ingest", pipeline=file) as ingest:
        results = ingest.put(event("a", jpeg()), event("flat", encode(Image.new("L", (40, 40)), "PNG"))).results

        assert [result.status for result in results] == [EVENT_STATUS_FAILED, EVENT_STATUS_STORED]
        assert "ZeroDivisionError" in results[0].message
        assert ingest.failures()["a"].reason == "processing_failed"


def test_options_change_the_stored_document(tmp_path):
    file = pipeline(tmp_path, "fetch", "decode", "fingerprint", "embed", "tag: {max_labels: 1, parents: false}", "caption")
    with open_ingest(tmp_path / "ingest", pipeline=file) as ingest:
        ingest.put(event("a", jpeg()))
        found = ingest.index.get("photos", "a")

        assert [tag.kind for tag in found.tags] == ["label"]


def test_limits_of_the_file_hold(tmp_path):
    file = pipeline(tmp_path, "fetch: {max_bytes: 100000}", "decode: {max_pixels: 1000, min_side: 10}", *STEPS[2:])
    with open_ingest(tmp_path / "ingest", pipeline=file) as ingest:
        results = ingest.put(
            event("pixels", jpeg(100, 100)),
            event("side", encode(Image.new("L", (5, 60)), "PNG")),
            event("bytes", bytes(100_001)),
        ).results

        assert [result.reason for result in results] == ["too_many_pixels", "too_small", "too_many_bytes"]


def test_without_their_steps_no_tags_or_captions_appear(tmp_path):
    with open_ingest(tmp_path / "ingest", pipeline=pipeline(tmp_path, *STEPS[:3], "embed: {tags: false}", "caption")) as ingest:
        ingest.put(event("a", jpeg()))
        found = ingest.index.get("photos", "a")

        assert (found.tags, found.caption, found.caption_is_generated) == ((), "", False)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["decode"], "decode needs .*; put fetch before decode"),
        (["fetch", "fingerprint"], "put decode before fingerprint"),
        (["fetch", "embed"], "put decode before embed"),
        (["fetch", "decode", "tag"], "put embed before tag"),
    ],
)
def test_steps_in_a_wrong_order_stop_the_run(tmp_path, steps, message):
    with open_ingest(tmp_path / "ingest", pipeline=pipeline(tmp_path, *steps)) as ingest:
        with pytest.raises(ConfigurationError, match=message):
            ingest.put(event("a", jpeg()))
        assert ingest.failures() == {}


FAULTY = "sharpness: {fail_above: 0.5"  # fails for every photo that has edges


def test_a_step_runs_only_under_its_condition(tmp_path):
    guarded = 'sharpness: {if: \'media_type == "image/png" and "skip" not in tags\'}'
    png = encode(Image.new("L", (40, 40)), "PNG")
    with open_ingest(tmp_path / "ingest", pipeline=pipeline(tmp_path, *STEPS[:3], guarded, *STEPS[3:])) as ingest:
        ingest.put(event("jpeg", jpeg()), event("png", png), event("skipped", png, tags=["skip"]))
        found = {name for name in ingest.photos() if "sharpness" in ingest.index.get("photos", name).attributes}

    assert found == {"png"}


def test_an_ignored_failure_leaves_the_step_out(tmp_path):
    file = pipeline(tmp_path, *STEPS[:3], FAULTY + ", ignore_failure: true}", *STEPS[3:])
    with open_ingest(tmp_path / "ingest", pipeline=file) as ingest:
        [result] = ingest.put(event("a", jpeg(), caption="mine")).results
        found = ingest.index.get("photos", "a")

    assert (result.status, found.caption, dict(found.attributes)) == (EVENT_STATUS_STORED, "mine", {})


def test_other_steps_replace_one_that_failed(tmp_path):
    answers = FAULTY + ", on_failure: [{sharpness: {digits: 0}}]}"
    with open_ingest(tmp_path / "ingest", pipeline=pipeline(tmp_path, *STEPS[:3], answers, *STEPS[3:])) as ingest:
        [result] = ingest.put(event("a", jpeg())).results
        assert result.status == EVENT_STATUS_STORED
        assert "sharpness" in ingest.index.get("photos", "a").attributes


def test_a_failure_of_replacement_steps_fails_the_photo(tmp_path):
    answers = FAULTY + ", on_failure: [{sharpness: {fail_above: 0.5}}]}"
    with open_ingest(tmp_path / "ingest", pipeline=pipeline(tmp_path, *STEPS[:3], answers, *STEPS[3:])) as ingest:
        assert [result.status for result in ingest.put(event("a", jpeg())).results] == [EVENT_STATUS_FAILED]


def test_a_missing_input_fails_only_its_photo(tmp_path):
    file = pipeline(tmp_path, "fetch", "decode: {if: 'media_type == \"image/png\"'}", *STEPS[2:])
    with open_ingest(tmp_path / "ingest", pipeline=file) as ingest:
        results = ingest.put(event("jpeg", jpeg()), event("png", encode(Image.new("L", (40, 40)), "PNG"))).results

    assert [result.status for result in results] == [EVENT_STATUS_FAILED, EVENT_STATUS_STORED]
    assert "left out: decode" in results[0].message


def test_a_temporary_error_is_retried_and_never_ignored(tmp_path):
    steps = [*STEPS[:3], "embed: {ignore_failure: true}", *STEPS[4:]]
    with open_ingest(tmp_path / "ingest", pipeline=pipeline(tmp_path, *steps), pace=Pace(retry_s=0.01)) as ingest:
        ingest.networks.broken = Unavailable("the network is away")
        [result] = ingest.put(event("a", jpeg())).results
        assert (result.status, result.retriable) == (EVENT_STATUS_FAILED, True)
