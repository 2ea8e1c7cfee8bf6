"""Tags, captions and fingerprints from what is known of a photo."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.bundles.labels import LabelRow, LabelTable
from miradouro.core.decode import decode
from miradouro.core.document import Tag, TagKind
from miradouro.core.embedding import LabelProbability
from miradouro.core.fingerprint import GEOMETRY, distance, perceptual_hash, sha256
from miradouro.processors.caption import CaptionOptions, sentence
from miradouro.processors.tag import TagOptions, tags
from PIL import Image, ImageEnhance

from tests.pictures import blocks, encode

PARENTS = {
    "tabby": ("cat", "animal"),
    "Persian cat": ("cat", "animal"),
    "elkhound": ("hound", "dog", "animal"),
    "beagle": ("hound", "dog", "animal"),
    "teapot": ("pot",),
    "viaduct": (),
}
TABLE = LabelTable(tuple(LabelRow("n", label, (label,), parents) for label, parents in PARENTS.items()), {})


def probabilities(**scores: float) -> list[LabelProbability]:
    names = list(PARENTS)
    return [LabelProbability(name.replace("_", " "), p, names.index(name.replace("_", " "))) for name, p in scores.items()]


def plain(found: tuple[Tag, ...]) -> list[tuple[str, float, str]]:
    return [(tag.label, round(tag.score, 6), tag.kind.value) for tag in found]


def test_tags_are_ordered_by_source_then_probability():
    found = tags(["my dog", "Lisbon"], probabilities(teapot=0.1, elkhound=0.6, beagle=0.2), TABLE, TagOptions())

    assert plain(found) == [
        ("my dog", 1, "user"),
        ("Lisbon", 1, "user"),
        ("elkhound", 0.6, "label"),
        ("beagle", 0.2, "label"),
        ("teapot", 0.1, "label"),
        ("animal", 0.8, "parent"),
        ("dog", 0.8, "parent"),
        ("hound", 0.8, "parent"),
        ("pot", 0.1, "parent"),
    ]


def test_a_parent_sums_even_its_unlikely_classes():
    found = tags([], probabilities(elkhound=0.5, beagle=0.009, tabby=0.005), TABLE, TagOptions())

    assert plain(found) == [
        ("elkhound", 0.5, "label"),
        ("animal", 0.514, "parent"),
        ("dog", 0.509, "parent"),
        ("hound", 0.509, "parent"),
    ]


def test_only_the_likeliest_labels_and_parents_are_kept():
    options = TagOptions(max_labels=1, min_probability=0.3)

    assert plain(tags([], probabilities(tabby=0.3, teapot=0.4), TABLE, options)) == [
        ("teapot", 0.4, "label"),
        ("pot", 0.4, "parent"),
    ]
    assert tags([], probabilities(tabby=0.29), TABLE, options) == ()


def test_the_least_probability_itself_is_kept():
    assert plain(tags([], probabilities(viaduct=0.01), TABLE, TagOptions())) == [("viaduct", 0.01, "label")]


def test_sums_of_rounded_probabilities_stay_at_most_1():
    assert all(tag.score <= 1 for tag in tags([], probabilities(elkhound=0.7, beagle=0.3000004), TABLE, TagOptions()))


def test_each_tag_occurs_once_from_its_best_source():
    table = LabelTable((LabelRow("n", "cat", (), ()), LabelRow("n", "tabby", (), ("cat", "pet"))), {})
    labels = [LabelProbability("cat", 0.5, 0), LabelProbability("tabby", 0.4, 1)]

    assert plain(tags(["PET ", "Tabby", "tabby"], labels, table, TagOptions())) == [
        ("PET", 1, "user"),
        ("Tabby", 1, "user"),
        ("cat", 0.5, "label"),
    ]


def test_parents_can_be_left_out():
    assert plain(tags([], probabilities(teapot=0.4), TABLE, TagOptions(parents=False))) == [("teapot", 0.4, "label")]


@given(st.dictionaries(st.sampled_from(list(PARENTS)), st.floats(0.001, 1)), st.lists(st.text(max_size=8), max_size=4))
def test_any_probabilities_give_tags_that_can_be_stored(scores, given_tags):
    labels = [LabelProbability(name, p, list(PARENTS).index(name)) for name, p in scores.items()]
    found = tags(given_tags, labels, TABLE, TagOptions())

    assert all(0 < tag.score <= 1 and tag.label.strip() for tag in found)
    assert len({tag.label for tag in found}) == len(found)
    assert [tag.kind for tag in found] == sorted(
        (tag.kind for tag in found), key=[TagKind.USER, TagKind.LABEL, TagKind.PARENT].index
    )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], ""),
        ([("teapot", 0.05)], ""),
        ([("teapot", 0.5)], "A photo of teapot."),
        ([("tabby", 0.5), ("teapot", 0.2)], "A photo of tabby and teapot."),
        ([("a", 1), ("b", 1), ("c", 1), ("d", 1)], "A photo of a, b and c."),
    ],
)
def test_a_sentence_names_the_likeliest_tags(scores, expected):
    found = [Tag(label, score, TagKind.LABEL) for label, score in scores] + [Tag("animal", 0.9, TagKind.PARENT)]

    assert sentence(found, CaptionOptions()) == expected


def test_sha256_is_that_of_the_bytes():
    assert sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()


def hash_of(image: Image.Image, file_format: str = "PNG", **options: object) -> str:
    return perceptual_hash(decode(encode(image, file_format, **options), [GEOMETRY]).tensors[GEOMETRY])


def test_copies_differ_in_fewer_bits_than_others():
    photo = Image.fromarray(blocks(640, 480, seed=1, cell=80))
    copies = [
        hash_of(photo, "JPEG", quality=40),
        hash_of(photo.resize((200, 150))),
        hash_of(ImageEnhance.Brightness(photo).enhance(0.8)),
        hash_of(photo.convert("L")),
    ]
    others = [hash_of(Image.fromarray(blocks(640, 480, seed=seed, cell=80))) for seed in range(2, 10)]

    assert max(distance(hash_of(photo), copy) for copy in copies) <= 10
    assert min(distance(hash_of(photo), other) for other in others) >= 14


def test_a_perceptual_hash_signs_64_low_frequencies():
    columns = np.cos(np.pi * 3 * (2 * np.arange(32) + 1) / 64)  # the third frequency across …
    rows = np.cos(np.pi * 2 * (2 * np.arange(32) + 1) / 64)  # … and the second one down
    pixels = np.repeat((128 + 100 * np.outer(rows, columns)).astype(np.uint8)[:, :, None], 3, axis=2)
    bits = int(perceptual_hash(pixels), 16)

    assert bits >> (63 - (1 * 8 + 2)) & 1


def test_a_flat_picture_has_a_hash_of_zeros():
    assert hash_of(Image.new("RGB", (100, 80), (90, 20, 200))) == "0" * 16
