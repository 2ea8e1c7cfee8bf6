import json
import os
import shutil
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from miradouro.bundles.catalogue import find, manifests
from miradouro.bundles.registry import model_path, record_path
from miradouro.cli.main import cli
from miradouro.core.errors import InvalidArgument

BUNDLES = {manifest.name: manifest.precisions for manifest in manifests()}


def models(*arguments: str, folder: Path) -> Result:
    """`miradouro models …`; errors of ours come out as they are, main turns them into a line and exit code 1."""
    try:
        return CliRunner().invoke(cli, ["models", *arguments], env={"MIRADOURO_MODELS_DIR": str(folder)}, standalone_mode=False)
    finally:
        structlog.reset_defaults()  # the command logs to a stream that ends with it


@pytest.fixture
def lite0(models_dir: Path, tmp_path: Path) -> Path:
    """A folder with the int8 file of one bundle, which a test may damage."""
    model = lite0_int8(models_dir)
    for file in (model, record_path(model)):
        shutil.copy(file, tmp_path)
    return tmp_path


def lite0_int8(folder: Path) -> Path:
    return model_path(folder, find("efficientnet-lite0"), "int8")


def test_list_shows_the_state_of_every_file(lite0: Path) -> None:
    result = models("list", folder=lite0)
    assert result.exit_code == 0
    assert "int8 ready (15 MB), fp32 missing" in result.output
    assert "int8 missing, fp32 missing" in result.output


def test_list_json_has_every_bundle_with_its_files(lite0: Path) -> None:
    found = {each["name"]: each for each in json.loads(models("list", "--json", folder=lite0).stdout)["bundles"]}
    assert set(BUNDLES) <= set(found)
    assert (found["vgg16-conv"]["origin"], found["vgg16-conv"]["can_tag"]) == ("shipped", False)
    assert "vgg16-conv/pool5/rmac" in found["vgg16-conv"]["spaces"]
    ready, missing = found["efficientnet-lite0"]["files"]
    assert (ready["state"], ready["bytes"]) == ("ready", os.path.getsize(ready["path"]))
    assert missing["state"] == "missing"
    assert "models pull efficientnet-lite0 --precision fp32" in missing["reason"]


def test_pull_keeps_existing_files_and_prints_their_path(lite0: Path) -> None:
    before = lite0_int8(lite0).stat()
    result = models("pull", "efficientnet-lite0", folder=lite0)
    assert result.exit_code == 0
    assert result.stdout == f"efficientnet-lite0 int8: {lite0_int8(lite0)}\n"
    assert lite0_int8(lite0).stat().st_mtime_ns == before.st_mtime_ns


def test_pull_builds_another_precision_from_the_kept_source(lite0: Path, models_dir: Path) -> None:
    (lite0 / "sources").symlink_to(models_dir / "sources")
    result = models("pull", "efficientnet-lite0", "--precision", "fp32", "--json", folder=lite0)
    assert result.exit_code == 0
    (pulled,) = json.loads(result.stdout)
    assert (pulled["precision"], pulled["state"], pulled["bytes"]) == ("fp32", "ready", os.path.getsize(pulled["path"]))


@pytest.mark.parametrize("command", [("pull", "vgg19"), ("verify", "vgg19"), ("describe", "vgg19")])
def test_an_unknown_bundle_error_lists_the_known_ones(tmp_path: Path, command: tuple[str, ...]) -> None:
    error = models(*command, folder=tmp_path).exception
    assert isinstance(error, InvalidArgument)
    assert error.message == f"bundle: 'vgg19' is not a bundle; allowed: {', '.join(BUNDLES)}"


def test_an_unknown_precision_is_wrong_usage(tmp_path: Path) -> None:
    assert "fp16" in str(models("pull", "--precision", "fp16", folder=tmp_path).exception)


def test_verify_accepts_one_whole_file_per_bundle(lite0: Path, models_dir: Path) -> None:
    assert models("verify", "efficientnet-lite0", folder=lite0).exit_code == 0
    assert models("verify", folder=models_dir).exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("vgg16-conv",), ("efficientnet-lite0", "--precision", "fp32")])
def test_verify_fails_where_a_bundle_has_no_file(lite0: Path, arguments: tuple[str, ...]) -> None:
    result = models("verify", *arguments, folder=lite0)
    assert result.return_value == 1
    assert "missing" in result.stdout


def test_verify_names_a_damaged_file_and_its_remedy(lite0: Path) -> None:
    path = lite0_int8(lite0)
    path.write_bytes(path.read_bytes()[:-1])
    result = models("verify", "efficientnet-lite0", folder=lite0)
    assert result.return_value == 1
    assert "int8: damaged" in result.stdout
    assert f"{path}: the model file is corrupt" in result.stdout
    assert "run `miradouro models pull efficientnet-lite0 --precision int8`" in result.stdout
    (damaged, missing) = json.loads(models("verify", "efficientnet-lite0", "--json", folder=lite0).stdout)
    assert (damaged["state"], missing["state"]) == ("damaged", "missing")


@pytest.mark.parametrize("name", BUNDLES)
def test_describe_works_without_model_files(tmp_path: Path, name: str) -> None:
    facts = json.loads(models("describe", name, "--json", folder=tmp_path).stdout)
    result = models("describe", name, folder=tmp_path)
    assert result.exit_code == 0
    checksums = [source.get("file_sha256") or source["sha256"] for source in facts["sources"]]
    for fact in (facts["license"], facts["attribution"], *checksums):
        assert fact in result.stdout
    for space in facts["spaces"]:
        assert space["name"] in result.stdout
        assert space["provenance"][:12] in result.stdout


def test_describe_gives_the_boxes_of_regions_as_fractions(tmp_path: Path) -> None:
    facts = json.loads(models("describe", "vgg16-conv", "--json", folder=tmp_path).stdout)
    (space,) = [space for space in facts["spaces"] if space["regions"]]
    assert (space["name"], space["vectors_per_photo"]) == ("vgg16-conv/pool5/regions", 14)
    assert space["regions"][0] == {"x": 0, "y": 0, "width": 1, "height": 1}
    assert space["regions"][1] == pytest.approx({"x": 0, "y": 0, "width": 4 / 7, "height": 4 / 7})
    assert space["regions"][2]["x"] == pytest.approx(3 / 7)
    assert space["regions"][13] == pytest.approx({"x": 4 / 7, "y": 4 / 7, "width": 3 / 7, "height": 3 / 7})


def test_default_spaces_are_the_standard_ones(tmp_path: Path) -> None:
    described = [json.loads(models("describe", name, "--json", folder=tmp_path).stdout) for name in BUNDLES]
    assert [space["name"] for facts in described for space in facts["spaces"] if space["preset"] != "laboratory"] == [
        "efficientnet-lite0/look",
        "efficientnet-lite0/features",
        "vgg16-conv/pool1/avg",
        "vgg16-conv/pool2/avg",
        "vgg16-conv/pool3/avg",
        "vgg16-conv/pool4/avg",
        "vgg16-conv/pool5/rmac",
        "vgg16-conv/pool5/regions",
    ]
