import unicodedata

import pytest
from miradouro.bundles.labels import load_labels
from miradouro.core.text import fold_tag

TABLE = load_labels()


def index_of(label: str) -> int:
    return TABLE.labels.index(label)


def name_of(word: str) -> str:
    return TABLE.words.get(fold_tag(word), word)


def test_there_are_1000_labels_in_wordnet_order() -> None:
    wnids = [row.wnid for row in TABLE.rows]
    assert len(wnids) == 1000
    assert wnids == sorted(set(wnids))


def test_every_label_is_unique_in_any_case() -> None:
    assert len({fold_tag(label) for label in TABLE.labels}) == 1000


def test_no_label_is_a_parent() -> None:
    parents = {parent for row in TABLE.rows for parent in row.parents}
    assert {fold_tag(parent) for parent in parents}.isdisjoint(fold_tag(label) for label in TABLE.labels)


def test_no_field_is_empty_or_padded() -> None:
    for row in TABLE.rows:
        for word in (row.label, *row.synonyms, *row.parents):
            assert word
            assert word == word.strip()
        assert len(set(row.parents)) == len(row.parents)


@pytest.mark.parametrize(
    ("label", "parents"),
    [
        ("Norwegian elkhound", {"dog", "hound", "animal", "mammal"}),
        ("goldfinch", {"bird", "animal"}),
        ("minivan", {"vehicle", "motor vehicle", "car"}),
        ("violin", {"musical instrument", "stringed instrument"}),
        ("pizza", {"food", "dish"}),
        ("Granny Smith", {"fruit", "food"}),
        ("espresso", {"beverage", "coffee"}),
        ("daisy", {"flower", "plant"}),
    ],
)
def test_a_label_is_found_by_its_parents(label: str, parents: set[str]) -> None:
    assert parents <= set(TABLE.parents(index_of(label)))


def test_dog_stands_for_exactly_118_breeds() -> None:
    dogs = [row.label for row in TABLE.rows if "dog" in row.parents]
    assert len(dogs) == 118
    assert "tabby" not in dogs
    assert "hotdog" not in dogs


def test_parents_too_abstract_to_search_are_left_out() -> None:
    parents = {parent for row in TABLE.rows for parent in row.parents}
    assert parents.isdisjoint({"entity", "physical entity", "object", "whole", "artifact", "matter", "organism", "chordate"})
    assert "container" not in TABLE.parents(index_of("minivan"))


@pytest.mark.parametrize(
    ("word", "meanings"), [("crane", 2), ("cardigan", 2), ("maillot", 2), ("mask", 3), ("amphibian", 9), ("pot", 4)]
)
def test_a_word_of_several_meanings_finds_each(word: str, meanings: int) -> None:
    assert name_of(word) == word
    assert sum(word in row.parents for row in TABLE.rows) == meanings


def test_the_two_cranes_have_different_labels() -> None:
    assert [label for label in TABLE.labels if label.startswith("crane")] == ["crane (wading bird)", "crane (lifting device)"]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("elkhound", "Norwegian elkhound"),
        ("ELKHOUND ", "Norwegian elkhound"),
        ("Norwegian Elkhound", "Norwegian elkhound"),
        ("domestic dog", "dog"),
        ("automobile", "car"),
        ("café", "café"),
    ],
)
def test_a_synonym_leads_to_its_label_or_parent(word: str, name: str) -> None:
    assert name_of(word) == name


def test_a_label_is_known_without_accents() -> None:
    assert name_of("gólden\u0301  retriever") == "golden retriever"


def test_labels_and_parents_match_in_any_case() -> None:
    for row in TABLE.rows:
        for word in (row.label, *row.parents):
            assert TABLE.words[fold_tag(word)] == TABLE.words[fold_tag(word.upper())] == word
            assert unicodedata.is_normalized("NFC", word)


def test_every_synonym_leads_to_its_own_label() -> None:
    for row in TABLE.rows:
        for word in row.synonyms:
            assert name_of(word) == row.label
