import pytest
from miradouro.bundles.words import load_words
from miradouro.core.query import Alternatives
from miradouro.core.text_query import parse_text, unfinished_word
from miradouro.core.text_terms import MAX_ALTERNATIVES, text_terms
from miradouro.core.understood import Vocabulary

VOCABULARY = Vocabulary(
    words={
        "sunset": 3,
        "lisbon": 9,
        "lisbonenses": 1,
        "streetlights": 2,
        "car": 5,
        "carpet": 1,
        "carpets": 1,
        "cartoon": 2,
        "logs": 4,
    }
)


def others(text: str, *, is_typing: bool = False, vocabulary: Vocabulary = VOCABULARY) -> dict[str, list[tuple[str, str, float]]]:
    """The alternatives of each word: word → text, origin and weight."""
    clause, understood = text_terms(
        parse_text(text), unfinished=unfinished_word(text), is_typing=is_typing, lexicon=load_words(), vocabulary=vocabulary
    )
    found = {
        word.word: [(term.text, term.origin.value, round(term.weight, 2)) for term in word.terms[1:]]
        for word in understood
        if len(word.terms) > 1
    }
    assert [one.others for one in clause.alternatives] == [
        tuple((text, pytest.approx(weight, abs=0.01)) for text, _, weight in terms) for terms in found.values()
    ]
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sunsets streetlight", {}),
        ("sunest lisbn ", {"sunest": [("sunset", "spelling", 0.8)], "lisbn": [("lisbon", "spelling", 0.8)]}),
        ("lisboa graca", {"lisboa": [("lisbon", "spelling", 0.8)]}),
        ("house dogs bridge ", {}),
        ("sunset lis", {"lis": [("lisbon", "completion", 0.8), ("lisbonenses", "completion", 0.8)]}),
        ("lis sunset", {}),
        ("sunset lis ", {}),
        ("carp", {"carp": [("carpet", "completion", 0.8)]}),
        ("car", {}),
        ('"sunest lisbn"', {}),
        ("x -sunest", {}),
        ("2024", {}),
    ],
)
def test_a_word_stands_for_words_of_the_collection(text: str, found: dict[str, list[tuple[str, str, float]]]) -> None:
    assert others(text) == found


def test_while_typing_a_known_word_is_completed_too() -> None:
    assert others("sunset car", is_typing=True) == {"car": [("cartoon", "completion", 0.8), ("carpet", "completion", 0.8)]}
    assert others("sunset car ", is_typing=True) == {}
    assert others("sunset c", is_typing=True) == {}


def test_the_number_of_alternatives_is_bounded() -> None:
    vocabulary = Vocabulary(words={f"{first}qzxw{last}": 1 for first in "abcdefghij" for last in "klmnopqrtu"})
    clause, _ = text_terms(
        parse_text(" ".join(f"{first}qzxw" for first in "abcdefghijABC") + " "),
        unfinished="",
        is_typing=False,
        lexicon=load_words(),
        vocabulary=vocabulary,
    )
    assert sum(len(one.others) for one in clause.alternatives) <= MAX_ALTERNATIVES
    assert isinstance(clause.alternatives[0], Alternatives)


@pytest.mark.parametrize(
    ("text", "word"),
    [("a red bo", "bo"), ("bo ", ""), ('"red bo', ""), ("red -bo", ""), ("red\n", ""), ("red bo\u2026", "bo\u2026"), ("", "")],
)
def test_the_unfinished_word_ends_the_text(text: str, word: str) -> None:
    assert unfinished_word(text) == word
