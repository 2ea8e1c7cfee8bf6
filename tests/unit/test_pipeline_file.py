"""The pipeline file decides what runs; a mistake in it is named with its place and with what is allowed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from miradouro.cli.pipeline import pipeline
from miradouro.core.errors import ConfigurationError
from miradouro.processors.pipeline_file import described, load_pipeline, parse_pipeline

THIRD_PARTY = Path(__file__).parents[1] / "third_party"


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed third-party package."""
    monkeypatch.syspath_prepend(str(THIRD_PARTY))


def test_the_default_pipeline_has_the_designed_steps():
    names = [step.name for step in load_pipeline().steps]

    assert names == ["fetch", "decode", "fingerprint", "exif", "embed", "tag", "keywords", "caption"]


def test_a_file_sets_order_and_options(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text("processors:\n  - fetch:\n      max_bytes: 1000\n  - decode\n  - caption: {max_tags: 2}\n")
    steps = load_pipeline(str(path)).steps

    assert [step.name for step in steps] == ["fetch", "decode", "caption"]
    assert described(steps)[0]["options"] == {"max_bytes": 1_000}
    assert described(steps)[2]["options"] == {"min_probability": 0.1, "max_tags": 2}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("processors: [", "not YAML"),
        ("", "processors"),
        ("steps: []", "processors"),
        ("processors: fetch", "processors"),
        ("processors: []", "empty"),
        ("processors: [3]", "3"),
        ("processors: [{fetch: {}, decode: {}}]", "no step"),
        ("processors: [{fetch: 5}]", "no step"),
        ("processors: [fetsch]", r"'fetsch' is not a processor; installed: .*fetch"),
        ("processors: [{fetch: {max_byte: 5}}]", r"processor fetch, option max_byte=5: .*; allowed options: max_bytes"),
        ("processors: [{fetch: {max_bytes: many}}]", r"processor fetch, option max_bytes='many'.*allowed options: max_bytes"),
        ("processors: [{tag: {min_probability: 2}}]", r"processor tag, option min_probability=2.*less than or equal to 1"),
        ("processors: [{fingerprint: {bits: 8}}]", r"processor fingerprint, option bits=8.*allowed options: none"),
        ("processors:\n- fetch\n- {tag: {x: 1}}", r"line 3, processor tag, option x=1.*if, ignore_failure, on_failure"),
        ("processors:\n- fetch\n- tag:\n    if: colour", r"line 3, processor tag, if='colour': column 1.*media_type"),
        ("processors: [{tag: {if: 3}}]", "if=3: allowed: a condition"),
        ("processors: [{tag: {ignore_failure: maybe}}]", "ignore_failure='maybe': allowed: true, false"),
        ("processors: [{tag: {ignore_failure: true, on_failure: [fetch]}}]", "exclude each other"),
        ("processors: [{tag: {on_failure: fetch}}]", "on_failure='fetch': allowed: a list of steps"),
        ("processors: [{tag: {on_failure: []}}]", "allowed: a list of steps"),
        ("processors:\n- tag:\n    on_failure:\n    - fetch\n    - fetsch", r"line 5: 'fetsch' is not a processor"),
    ],
)
def test_a_mistake_is_reported_with_place_and_alternatives(text, named):
    with pytest.raises(ConfigurationError, match=named) as caught:
        parse_pipeline(text, source="my.yaml")
    assert caught.value.message.startswith("my.yaml: ")


def test_a_missing_file_is_reported_by_its_setting(tmp_path):
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_PIPELINE=.*nowhere\.yaml"):
        load_pipeline(str(tmp_path / "nowhere.yaml"))


@pytest.mark.usefixtures("third_party")
def test_a_foreign_processor_is_found_by_entry_point():
    [step] = parse_pipeline("processors: [{sharpness: {digits: 3}}]", source="x").steps

    assert step.origin == "sharpness:Sharpness (sharpness 1.0)"
    assert step.options.model_dump() == {"digits": 3, "fail_above": 1e9}


@pytest.mark.usefixtures("third_party")
def test_a_processor_that_cannot_be_loaded_is_named():
    with pytest.raises(ConfigurationError, match="processor broken cannot be loaded from sharpness:NotThere"):
        parse_pipeline("processors: [broken]", source="x")


def test_a_name_that_two_packages_offer_is_refused(tmp_path, monkeypatch):
    for package in ("one", "two"):
        folder = tmp_path / f"{package}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[miradouro.processors]\nsame = {package}:Processor\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(ConfigurationError, match=r"processor same is offered twice, as (one|two)"):
        load_pipeline()


def test_show_prints_the_steps_with_options_and_origin():
    shown = CliRunner().invoke(pipeline, ["show"])

    assert shown.exit_code == 0
    assert "1. fetch  miradouro.processors.fetch:Fetch (miradouro " in shown.output
    assert "max_labels = 20" in shown.output


def test_show_prints_json_of_the_file_in_force(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("processors: [fetch, {tag: {max_labels: 3}}]")
    shown = CliRunner().invoke(pipeline, ["show", "--json"], env={"MIRADOURO_PIPELINE": str(path)})
    report = json.loads(shown.output)

    assert report["source"] == str(path)
    assert [step["name"] for step in report["processors"]] == ["fetch", "tag"]
    assert report["processors"][1]["options"]["max_labels"] == 3
    assert report["processors"][0]["from"].startswith("miradouro.processors.fetch:Fetch (miradouro ")


def test_show_prints_the_condition_of_a_step(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "processors:\n- fetch: {if: version > 1, ignore_failure: true}\n- tag:\n    on_failure:\n    - caption: {max_tags: 1}\n"
    )
    environment = {"MIRADOURO_PIPELINE": str(path)}
    lines = CliRunner().invoke(pipeline, ["show"], env=environment).output.splitlines()
    assert "     if version > 1" in lines
    assert "     ignore_failure" in lines
    assert [line.split("  miradouro")[0] for line in lines if "caption" in line] == ["       1. caption"]

    fetch, tag = json.loads(CliRunner().invoke(pipeline, ["show", "--json"], env=environment).output)["processors"]
    assert (fetch["if"], fetch["ignore_failure"], "on_failure" in fetch) == ("version > 1", True, False)
    assert [(step["name"], step["options"]["max_tags"]) for step in tag["on_failure"]] == [("caption", 1)]
