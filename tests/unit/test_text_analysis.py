"""The one analysis of text: words, folding, stop words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.text import STOP_WORDS, fold, fold_tag, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Miradouro da Graça", ["miradouro", "graca"]),
        ("Straße", ["strasse"]),
        ("ẞ Ø Ł Þ Æ Œ İ", ["ss", "l", "th", "ae", "oe", "i"]),  # Ø alone is o, a stop word
        ("dog's golden_retriever", ["dog", "s", "golden", "retriever"]),
        ("3.5 x 10²", ["3", "5", "x", "102"]),
        ("東京タワーの夜", ["東", "京", "タワー", "の", "夜"]),
        ("हिन्दी", ["हिन्दी"]),
        ("c\u0327a", ["ca"]),
        ("the e não", []),
        ("🙂 — … !", []),
        ("", []),
    ],
)
def test_words_are_split_folded_and_stop_words_dropped(text: str, expected: list[str]) -> None:
    assert [word.folded for word in words(text)] == expected


def test_words_have_their_positions() -> None:
    text = "Um café, uma Straße"
    assert [(text[word.start : word.end], word.folded) for word in words(text)] == [("café", "cafe"), ("Straße", "strasse")]


def test_tags_are_normalised_before_they_are_compared() -> None:
    assert fold_tag("  Golden\u00a0\tRÉTRIEVER\n") == "golden retriever"
    assert fold_tag("São Tomé") == fold_tag("sa\u0303o tome\u0301") == "sao tome"
    assert fold_tag(" \t") == ""


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold_tag(fold_tag(text)) == fold_tag(text)


@given(st.text())
def test_composed_and_decomposed_text_is_the_same_text(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert fold(composed) == fold(decomposed)
    assert [word.folded for word in words(composed)] == [word.folded for word in words(decomposed)]


@given(st.text())
def test_a_word_is_analysed_to_itself(text: str) -> None:
    for word in words(text):
        assert [again.folded for again in words(word.folded)] == [word.folded]


def test_stop_words_are_words_as_folded() -> None:
    assert {"the", "nao", "para", "with"} <= STOP_WORDS
    assert {fold(word) for word in STOP_WORDS} == STOP_WORDS
