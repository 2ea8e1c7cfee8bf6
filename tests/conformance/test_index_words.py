"""Questions in words as people type them: the same answer from every engine, through `core.understand` and `core.question`."""

from dataclasses import replace
from typing import Any

import pytest
from miradouro.bundles.words import load_words
from miradouro.core.document import Document, Tag, TagKind
from miradouro.core.errors import InvalidArgument, NotFound
from miradouro.core.query import (
    MAX_TEXT_TERMS,
    Alternatives,
    Facet,
    FacetField,
    IndexQuery,
    Matches,
    OwnerIs,
    TextClause,
)
from miradouro.core.question import Keywords, Question, Text, plan
from miradouro.core.text_query import parse_text, unfinished_word
from miradouro.core.text_terms import MAX_ALTERNATIVES
from miradouro.core.understand import understand

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, SPACES, label, parent, photo, tombstone, user_tag

SCORE_ERROR = 2e-3


@pytest.fixture(autouse=True)
def collection(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)


def asked(index: Index, sought: Keywords | Text, **options: Any) -> Matches:
    question, understood = understand(Question(COLLECTION, sought, **options), index=index, lexicon=load_words)
    return index.search(plan(question, None, understood))


def ask(index: Index, *words: str) -> Matches:
    return asked(index, Keywords(words))


def ask_text(index: Index, text: str, *, is_typing: bool = False, **options: Any) -> Matches:
    return asked(index, Text(parse_text(text), unfinished_word(text), is_typing), **options)


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


LECTURE = (
    "Sunset picture taken in Lisbon from Miradouro da Graça, with Ponte 25 de Abril on the landscape "
    "and with streetlights already on."
)
CAPTIONS = {
    "lecture.jpg": LECTURE,
    "bridge.jpg": "The bridge over the river at noon",
    "april.jpg": "25 tulips in April",
    "ponte.jpg": "Ponte Vasco da Gama, 25 km from Abril street",
    "street.jpg": "A street in Lisbon with a light rail tram",
    "dawn.jpg": "Sunrise picture taken in Porto",
    "sunset.jpg": "The sunset picture that everybody takes at the beach of Carcavelos in summer",
    "light.jpg": "Street at night",
}


def made_photo(photo_id: str, caption: str, *, tags: tuple[Tag, ...]) -> Document:
    return photo(photo_id, caption=caption, caption_is_generated=True, tags=tags)


def test_questions_of_the_lecture_find_its_caption_first(index: Index) -> None:
    index.write([photo(name, caption=caption) for name, caption in CAPTIONS.items()])
    index.write([made_photo("made.jpg", "A photo of sunset and street.", tags=(label("sunset", 0.9), label("street", 0.5)))])
    for text in (
        "sunsets lisboa graca",
        "streetlight bridge abril",
        '"Ponte 25 de Abril"',
        "sunest lisbn",
        "miradouro gra",
        "strretlights",
    ):
        assert ids(ask_text(index, text))[0] == "lecture.jpg", text
    assert ids(ask_text(index, '"Ponte 25 de Abril"')) == ["lecture.jpg"]


def test_words_of_people_rank_above_their_tags_and_made_words(index: Index) -> None:
    index.write(
        [
            made_photo("made.jpg", "A photo of lighthouse.", tags=(label("lighthouse", 0.9),)),
            photo("label.jpg", caption="Holiday", tags=(label("lighthouse", 0.9),)),
            photo("tag.jpg", tags=(user_tag("lighthouse"),)),
            photo("title.jpg", title="The old lighthouse of the cape"),
            photo("caption.jpg", caption="We walked to the lighthouse on a very windy day in spring"),
            *(photo(f"{i}.jpg", caption=f"number {i}") for i in range(20)),
        ]
    )
    answer = ids(ask_text(index, "lighthouse"))
    assert set(answer[:2]) == {"title.jpg", "caption.jpg"}
    assert answer[2] == "tag.jpg"
    assert set(answer[3:]) == {"made.jpg", "label.jpg"}
    assert ids(ask_text(index, "lighthouse number windy", limit=100))[-2:] == answer[3:], "made words stay last beside others"


def test_the_frame_of_a_made_caption_is_not_searched(index: Index) -> None:
    index.write([made_photo("made.jpg", "A photo of tench and barn.", tags=(label("tench", 0.9), label("barn", 0.5)))])
    index.write([photo("own.jpg", caption="A photo of my father")])
    assert ids(ask_text(index, "photo")) == ["own.jpg"]
    assert ids(ask_text(index, "barn")) == ["made.jpg"]


def test_the_vocabulary_has_the_words_as_written(index: Index) -> None:
    index.write(
        [photo("a.jpg", title="Cidades", caption="Two dogs and the Graça", tags=(user_tag("red boat"), label("dog", 0.4)))]
    )
    index.write([photo("b.jpg", caption="dogs", tags=(user_tag("x" * 65),)), photo("c.jpg", caption="gone")])
    index.write([tombstone("c.jpg", 2)])
    words = {"cidades": 1, "two": 1, "dogs": 2, "graca": 1, "red": 1, "boat": 1, "dog": 1}
    assert index.vocabulary(COLLECTION).words == words


def test_the_last_word_is_completed_while_typing(index: Index) -> None:
    index.write([photo("a.jpg", caption="red carpenter"), photo("b.jpg", caption="blue car"), photo("c.jpg", caption="a carp")])
    assert ids(ask_text(index, "carpen")) == ["a.jpg"]
    assert ids(ask_text(index, "car")) == ["b.jpg"]
    assert ids(ask_text(index, "car", is_typing=True))[0] == "b.jpg"
    assert set(ids(ask_text(index, "car", is_typing=True))) == {"a.jpg", "b.jpg", "c.jpg"}


def test_alternatives_pass_conditions_exclusions_pages_and_facets(index: Index) -> None:
    index.write([photo(f"{i:02}.jpg", caption="sunset" if i % 2 else "sunset boat", owner=f"o{i % 3}") for i in range(12)])
    index.write([photo("other.jpg", caption="nothing")])
    assert ask_text(index, "sunest -boat").total == 6
    assert ask_text(index, "sunest", conditions=(OwnerIs("o1"),)).total == 4
    whole = ids(ask_text(index, "sunest boat"))
    assert whole == [f"{i:02}.jpg" for i in (0, 2, 4, 6, 8, 10, 1, 3, 5, 7)]
    pages = [ids(ask_text(index, "sunest boat", limit=5, page=page)) for page in (0, 5, 10)]
    assert [name for page in pages for name in page][:10] == whole
    [owners] = ask_text(index, "sunest", facets=(Facet(FacetField.OWNER),)).facets
    assert [(one.value, one.photos) for one in owners.counts] == [("o0", 4), ("o1", 4), ("o2", 4)]
    assert ids(ask_text(index, 'sunest "boat"')) == [f"{i:02}.jpg" for i in range(0, 12, 2)][:10]


def test_the_best_alternative_counts_once(index: Index) -> None:
    index.write(
        [
            photo("two.jpg", caption="lisbon lisboa"),
            photo("one.jpg", caption="lisbon word"),
            photo("exact.jpg", caption="lisbox word"),
            *(photo(f"{i}.jpg", caption=f"word {i}") for i in range(20)),
        ]
    )
    scores = {match.photo_id: match.score for match in ask_text(index, "lisbo ").matches}
    assert set(scores) == {"one.jpg", "two.jpg", "exact.jpg"}
    assert scores["two.jpg"] < 1.5 * scores["one.jpg"]


ODD_TEXTS = (
    *ODD, "x" * 1_000, '"', '""x""', "\u201cunclosed", "OR", "AND NOT", "title:x", "(a", "a)", "x^2", "x~2", "[a TO b]", "/re/",
    "; DROP TABLE documents", "NEAR(\"x\" \"y\", 5)", "{title caption}: x", "^x", "x + y", "\u0661\u0662", "\u4eac\u90fd",
)  # fmt: skip


def test_odd_texts_never_find_the_whole_collection(index: Index) -> None:
    index.write([photo(f"{i}.jpg", caption="tractor on a field", tags=(user_tag("blue"),)) for i in range(3)])
    for text in ODD_TEXTS:
        if any(character.isalnum() for character in text):
            assert ask_text(index, text).total == 0, text
            continue
        with pytest.raises(InvalidArgument, match="no word to look for"):
            parse_text(text)


def test_a_text_of_most_words_is_one_question(index: Index) -> None:
    index.write([photo("a.jpg", caption="w99"), photo("b.jpg", caption="other")])
    clause = TextClause(
        tuple(f"w{i}" for i in range(MAX_TEXT_TERMS)),
        (),
        (),
        tuple(Alternatives(f"w{i}", tuple((f"z{i}{j}", 0.8) for j in range(3))) for i in range(MAX_ALTERNATIVES // 3)),
    )
    assert ids(index.search(IndexQuery(COLLECTION, clause))) == ["a.jpg"]
