import pytest
from miradouro.bundles.words import load_words
from miradouro.core.tag_terms import MAX_TAGS, tag_terms
from miradouro.core.understood import TermOrigin, Vocabulary

TAGS = (
    "dog", "animal", "golden retriever", "retriever", "car", "automobile", "person", "praias", "cat", "insect", "sofa",
    "summer holiday", "bicycle", "motorcycle", "2023",
)  # fmt: skip
VOCABULARY = Vocabulary(frozenset(TAGS))


def others(phrase: str, vocabulary: Vocabulary = VOCABULARY) -> dict[str, tuple[str, float]]:
    """The terms beside the phrase itself: text → origin, weight."""
    [word, *_] = tag_terms([phrase], lexicon=load_words(), vocabulary=vocabulary)
    assert (word.terms[0].origin, word.terms[0].weight) == (TermOrigin.EXACT, 1.0)
    return {term.text: (term.origin.value, round(term.weight, 3)) for term in word.terms[1:]}


@pytest.mark.parametrize(
    ("phrase", "terms"),
    [
        ("dog", {}),
        ("DOGS", {"dog": ("inflection", 1.0)}),
        ("dog's", {"dog": ("inflection", 1.0)}),
        ("praia", {"praias": ("inflection", 1.0)}),
        ("golden retrievers", {"golden retriever": ("inflection", 1.0)}),
        ("couch", {"sofa": ("synonym", 1.0)}),
        ("couches", {"sofa": ("synonym", 1.0)}),
        ("auto", {"car": ("synonym", 1.0), "automobile": ("synonym", 1.0)}),
        ("bike", {"motorcycle": ("synonym", 1.0), "bicycle": ("synonym", 1.0)}),
        ("puppy", {"dog": ("parent", 0.7)}),
        ("puppies", {"dog": ("parent", 0.7)}),
        ("children", {"person": ("parent", 0.49)}),
        ("dgo", {"dog": ("spelling", 0.8)}),
        ("retreiver", {"retriever": ("spelling", 0.8)}),
        ("golden retreiver", {"golden retriever": ("spelling", 0.8)}),
        ("retriever golden", {"golden retriever": ("exact", 1.0)}),
        ("holiday summer", {"summer holiday": ("exact", 1.0)}),
    ],
)  # fmt: skip
def test_a_word_leads_to_its_label(phrase: str, terms: dict[str, tuple[str, float]]) -> None:
    assert others(phrase) == terms


@pytest.mark.parametrize(
    "phrase", ["house", "2024", "cao", "sunset", "xx", "x" * 10_000, "\U0001f600", "%", "c*", "\u05db\u05dc\u05d1"]
)
def test_a_word_without_a_label_leads_nowhere(phrase: str) -> None:
    assert others(phrase) == {}


def test_a_misspelled_kind_leads_to_tags_that_exist() -> None:
    assert others("pupy", Vocabulary(frozenset(["dog"]))) == {"dog": ("spelling", 0.56)}
    assert others("pupy", Vocabulary(frozenset(["boat"]))) == {}


def test_an_unknown_phrase_stands_for_the_tags_in_it() -> None:
    words = tag_terms(["a golden retriever and dogs"], lexicon=load_words(), vocabulary=VOCABULARY)
    assert [word.word for word in words] == ["a golden retriever and dogs", "golden retriever", "dogs"]


def test_the_number_of_tags_is_bounded() -> None:
    words = tag_terms([f"{i}a " * 60 for i in range(64)], lexicon=load_words(), vocabulary=VOCABULARY)
    assert sum(len(word.terms) for word in words) <= MAX_TAGS
