import pytest
from miradouro.bundles.labels import load_labels
from miradouro.bundles.manifest import MODELS
from miradouro.bundles.words import MOST_STEPS, WORDS_FILE, load_words
from miradouro.core.understood import Meaning

WORDS = load_words()
ROWS = [line.split("\t") for line in (MODELS / WORDS_FILE).read_text(encoding="utf-8").splitlines()]


def test_rows_are_sorted_so_that_each_is_found() -> None:
    words = [word for word, _, _ in ROWS]
    assert words == sorted(set(words), key=str.encode)
    for word, bases, targets in [*ROWS[::997], ROWS[0], ROWS[-1]]:
        assert WORDS.is_word(word)
        assert (
            [f"{one.name}:{one.steps}" for one in WORDS.meanings(word)] == targets.split("|")
            or not targets
            or (word in load_labels().words)
        )
        assert list(WORDS.base_forms(word)) == bases.split("|") or not bases


def test_every_meaning_is_a_label_or_parent() -> None:
    names = set(load_labels().words.values())
    for _, _, targets in ROWS:
        for target in targets.split("|") if targets else ():
            name, _, steps = target.rpartition(":")
            assert name in names
            assert 0 <= int(steps) <= MOST_STEPS


@pytest.mark.parametrize(
    ("word", "meanings"),
    [
        ("dog", [Meaning("dog", 0)]),
        ("couch", [Meaning("sofa", 0)]),
        ("puppy", [Meaning("dog", 1)]),
        ("bike", [Meaning("motorcycle", 0), Meaning("bicycle", 0)]),
        ("sunset", []),
        ("party", []),
        ("", []),
        ("zzzzz", []),
        ("dog\tcat", []),
    ],
)
def test_a_word_has_the_meanings_of_wordnet(word: str, meanings: list[Meaning]) -> None:
    assert list(WORDS.meanings(word)) == meanings


def test_irregular_plurals_have_their_singular() -> None:
    assert WORDS.base_forms("wolves") == ("wolf",)
    assert WORDS.base_forms("house mice") == ("house mouse",)
    assert WORDS.base_forms("dogs") == ()


def test_right_spellings_are_told_from_wrong_ones() -> None:
    assert WORDS.is_word("sunset")
    assert WORDS.is_word("golden retriever")
    assert not WORDS.is_word("dgo")
    assert not WORDS.is_word("golden retreiver")
