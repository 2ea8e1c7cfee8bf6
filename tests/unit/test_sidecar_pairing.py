"""Which files are the sidecars of which photo, by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.sidecars.pairing import SidecarNames, is_sidecar_name

LONG = "Screenshot_20240102-101112_Some Application with a long name"  # Takeout cuts it: the photo at 51 characters, JSON at 46
CUT = f"{LONG[:47]}.jpg"


@pytest.mark.parametrize(
    ("photo", "sidecars"),
    [
        ("a.jpg", ["a.json", "a.jpg.xmp", "a.xmp", "a.jpg.json"]),
        ("a.jpg", ["a.JSON", "a.XMP"]),
        ("a.jpg", ["a.jpg.supplemental-metadata.json"]),
        ("a.jpg", ["a.jpg.suppl.json"]),
        ("a.jpg", ["a.jpg..json"]),
        ("a(1).jpg", ["a(1).jpg.json"]),
        ("a(1).jpg", ["a.jpg(1).json"]),
        ("a(1).jpg", ["a(1).jpg.supplemental-metadata.json"]),
        ("a(1).jpg", ["a.jpg.supplemental-metadata(1).json"]),
        ("a(12).jpg", ["a.jpg.supplemental-me(12).json"]),
        ("a-edited.jpg", ["a.jpg.json"]),
        ("a-bearbeitet.jpg", ["a.jpg.supplemental-metadata.json"]),
        ("a-modifie\u0301.jpg", ["a.jpg.json"]),
        ("a-edited(1).jpg", ["a.jpg(1).json"]),
        ("a-edited.jpg", ["a-edited.json", "a-edited.xmp", "a-edited.jpg.json"]),
        (CUT, [f"{LONG[:46]}.json"]),
        (f"{LONG[:47]}(1).jpg", [f"{LONG[:46]}(1).json"]),
        (f"{LONG}.jpg", [f"{LONG[:46]}.json"]),
        (f"{LONG}.jpg", [f"{LONG[:51]}.json"]),
        (f"{LONG[:40]}.jpg", [f"{LONG[:40]}.jpg.s.json"]),
        (f"{LONG[:44]}.jpg", [f"{LONG[:44]}.j.json"]),
        ("Cafe\u0301.jpg", ["Cafe\u0301.json", "Caf\u00e9.jpg.xmp", "Caf\u00e9.jpg.json"]),
        ("no-extension", ["no-extension.json", "no-extension.xmp"]),
    ],
)
def test_a_photo_has_these_sidecars_in_this_order(photo: str, sidecars: list[str]) -> None:
    others = [
        "b.json",
        "a.b.xmp",
        "a.mov.xmp",
        "a_01.jpg.xmp",
        "a.mp4.json",
        "a.jpg(2).json",
        "a.jpg.other.json",
        "metadata.json",
    ]
    assert [one.name for one in SidecarNames([*others, *sidecars]).of(photo)] == sidecars


def test_the_whole_name_comes_before_a_cut_one() -> None:
    other = f"{LONG}, 2.jpg"
    names = SidecarNames([f"{LONG[:46]}.json", f"{other}.json", "a.jpg.suppl.json", "a.jpg.json"])
    assert [one.name for one in names.of(other)] == [f"{other}.json"]
    assert [one.name for one in names.of("a.jpg")] == ["a.jpg.json"]


def test_the_same_unicode_form_comes_first() -> None:
    names = SidecarNames(["Caf\u00e9.xmp", "Cafe\u0301.xmp"])
    assert [names.of(f"{stem}.jpg")[0].name for stem in ("Caf\u00e9", "Cafe\u0301")] == ["Caf\u00e9.xmp", "Cafe\u0301.xmp"]


def test_hidden_files_and_sidecars_have_none() -> None:
    assert not is_sidecar_name("._a.xmp")
    assert SidecarNames(["a.json", "a.json.xmp"]).of("a.json") == ()


NAMES = st.text(st.sampled_from("a().-éj\u0301\udcffsupplemental"), max_size=60)


@given(st.lists(st.builds(str.__add__, NAMES, st.sampled_from([".json", ".xmp", ".JSON", "(1).json"])), max_size=8), NAMES)
def test_any_names_pair_once_each(sidecars: list[str], photo: str) -> None:
    given_names = set(filter(is_sidecar_name, sidecars))
    found = [one.name for one in SidecarNames(given_names).of(f"{photo}.jpg")]
    assert len(found) == len(set(found)) <= 4
    assert set(found) <= given_names
