"""Questions in words as people type them: the same answer from every engine, through `core.understand` and `core.question`."""

from dataclasses import replace

import pytest
from miradouro.bundles.words import load_words
from miradouro.core.document import Tag, TagKind
from miradouro.core.errors import NotFound
from miradouro.core.query import Matches
from miradouro.core.question import Keywords, Question, plan
from miradouro.core.understand import understand

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, SPACES, label, parent, photo, tombstone, user_tag

SCORE_ERROR = 2e-3


@pytest.fixture(autouse=True)
def collection(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)


def ask(index: Index, *words: str) -> Matches:
    question = Question(COLLECTION, Keywords(words))
    return index.search(plan(question, None, understand(question, index=index, lexicon=load_words)))


def ids(matches: Matches) -> list[str]:
    return [match.photo_id for match in matches.matches]


def scores(matches: Matches) -> dict[str, object]:
    return {match.photo_id: pytest.approx(match.score, abs=SCORE_ERROR) for match in matches.matches}


def test_the_vocabulary_has_the_tags_of_live_photos(index: Index) -> None:
    index.write([photo("a.jpg", tags=(label("Golden  Retriever", 0.5), parent("dog", 0.6), user_tag("Açores")))])
    index.write([photo("b.jpg", tags=(user_tag("mistake"),)), photo("c.jpg", tags=(label("dog", 0.5),))])
    assert index.vocabulary(COLLECTION).tags == {"golden retriever", "dog", "acores", "mistake"}
    index.write([tombstone("b.jpg", 2)])
    assert index.vocabulary(COLLECTION).tags == {"golden retriever", "dog", "acores"}
    with pytest.raises(NotFound):
        index.vocabulary("nowhere")


def test_plurals_synonyms_kinds_and_misspellings_find_dogs(index: Index) -> None:
    index.write(
        [
            *(photo(f"dog{i}.jpg", tags=(label("beagle", 0.8), parent("dog", 0.9))) for i in range(3)),
            photo("boat.jpg", tags=(label("catamaran", 0.9), parent("boat", 0.9))),
        ]
    )
    for words in ("dog", "dogs", "DOG'S", "puppy", "puppies", "dgo", "doggy", "domestic dog", "dog domestic", "a happy dog"):
        assert ids(ask(index, words)) == ["dog0.jpg", "dog1.jpg", "dog2.jpg"], words


def test_words_of_a_tag_come_in_any_order(index: Index) -> None:
    index.write(
        [
            photo("gold.jpg", tags=(label("golden retriever", 0.8),)),
            photo("trip.jpg", tags=(user_tag("Lisbon trip 2024"),)),
            photo("other.jpg", tags=(label("retriever", 0.8), user_tag("golden"))),
        ]
    )
    assert ids(ask(index, "retriever golden")) == ["gold.jpg"]
    assert ids(ask(index, "trip 2024 lisbon")) == ["trip.jpg"]


def test_own_tags_count_in_full_and_parents_by_distance(index: Index) -> None:
    def above(name: str, probability: float, steps: int) -> Tag:
        return replace(parent(name, probability), steps=steps)

    index.write(
        [
            photo("mine.jpg", tags=(user_tag("animal"),)),
            photo("near.jpg", tags=(label("x", 1.0), above("animal", 1.0, 1))),
            photo("far.jpg", tags=(label("y", 1.0), above("animal", 1.0, 5))),
        ]
    )
    assert scores(ask(index, "animal")) == {"mine.jpg": 1.0, "near.jpg": 0.9, "far.jpg": 0.9**5}
    [stored] = [tag for tag in index.get(COLLECTION, "far.jpg").tags if tag.kind is TagKind.PARENT]
    assert (stored.score, stored.steps) == (1.0, 5)


def test_a_word_counts_less_the_farther_it_leads(index: Index) -> None:
    index.write([photo("pup.jpg", tags=(user_tag("puppy"),)), photo("dog.jpg", tags=(user_tag("dog"),))])
    assert scores(ask(index, "puppy")) == {"pup.jpg": 1.0, "dog.jpg": 0.7}
    assert scores(ask(index, "dog")) == {"dog.jpg": 1.0}
    assert ids(ask(index, "puppy", "dog")) == ["dog.jpg", "pup.jpg"], "the largest weight counts, ties by id"


ODD = (
    "\U0001f600", "\u202e\u05db\u05dc\u05d1\u202c", "d\u043e\u0433", "\x01\x02x", "x" * 200, "*", "%", "d*", "do?", "_",
    "' OR 1=1 --", '"dog', "dog AND", "NOT", "tag:*", "{!lucene}", "house", "tag_scores.dog", "\u2024", "NEAR(a b)", "col:x^9",
)  # fmt: skip


def test_odd_words_never_find_the_whole_collection(index: Index) -> None:
    index.write([photo(f"{i}.jpg", tags=(label("tractor", 0.5), user_tag("blue"))) for i in range(3)])
    for words in ODD:
        assert ask(index, words).total == 0, words


def test_many_odd_words_are_one_question(index: Index) -> None:
    index.write([photo("dog.jpg", tags=(label("dog", 0.5),))])
    words = [f"{i}z " * 60 for i in range(63)]
    assert ids(ask(index, "dog", *words)) == ["dog.jpg"]
