"""Words, quoted phrases and exclusions, as a person types them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.errors import InvalidArgument
from miradouro.core.query import MAX_TEXT_CHARS, TextClause
from miradouro.core.text_query import parse_text

WORD = st.text(st.characters(categories=("Ll", "Lu", "Nd")), min_size=1, max_size=12)
PHRASE = st.lists(WORD, min_size=1, max_size=4).map(" ".join)


@pytest.mark.parametrize(
    ("text", "should", "must", "must_not"),
    [
        ("dog", ("dog",), (), ()),
        ("dog  beach\tsun", ("dog", "beach", "sun"), (), ()),
        ('"red car" beach', ("beach",), ("red car",), ()),
        ("dog -cat", ("dog",), (), ("cat",)),
        ('dog -"grumpy cat"', ("dog",), (), ("grumpy cat",)),
        ("black-and-white", ("black-and-white",), (), ()),
        ("dog - cat", ("dog", "cat"), (), ()),
        ("dog --cat", ("dog",), (), ("cat",)),
        ('"  two   words "', (), ("two words",), ()),
        ('an "open phrase', ("an",), ("open phrase",), ()),
        ("“curly quotes” stay", ("stay",), ("curly quotes",), ()),
        ('near"glued phrase"by', ("near", "by"), ("glued phrase",), ()),
        ('dog "" -"" ... !', ("dog",), (), ()),
        ("dog dog Dog", ("dog", "Dog"), (), ()),
        ("NOT cat OR title:dog*", ("NOT", "cat", "OR", "title:dog*"), (), ()),
        ("Graça Straße", ("Graça", "Straße"), (), ()),
        ("l'été", ("l'été",), (), ()),
    ],
)
def test_text_is_read_as_words_phrases_and_exclusions(text, should, must, must_not):
    assert parse_text(text) == TextClause(should=should, must=must, must_not=must_not)


@pytest.mark.parametrize("text", ["", "   ", "-dog", '-"red car" -dog', "...", '""', "- -", "\0"])
def test_text_without_a_searchable_word_is_refused(text):
    with pytest.raises(InvalidArgument, match=r"text\.text: .*no word to look for"):
        parse_text(text, field="text.text")


def test_text_beyond_the_longest_length_is_refused():
    assert parse_text("a" * MAX_TEXT_CHARS).should == ("a" * MAX_TEXT_CHARS,)
    with pytest.raises(InvalidArgument, match="1,025 characters; allowed: 1 to 1,024"):
        parse_text("a" * (MAX_TEXT_CHARS + 1))


@given(
    should=st.lists(WORD, max_size=5, unique=True),
    must=st.lists(PHRASE, max_size=3, unique=True),
    must_not=st.lists(PHRASE, max_size=3, unique=True),
    data=st.data(),
)
def test_a_written_query_is_read_back(should, must, must_not, data):
    terms = [*should, *(f'"{phrase}"' for phrase in must), *(f'-"{phrase}"' for phrase in must_not)]
    order = data.draw(st.permutations(range(len(terms))))
    text = " ".join(terms[i] for i in order)
    if not should and not must:
        with pytest.raises(InvalidArgument):
            parse_text(text)
        return
    clause = parse_text(text)
    assert (set(clause.should), set(clause.must), set(clause.must_not)) == (set(should), set(must), set(must_not))


@given(st.text(max_size=80))
def test_any_text_gives_a_clause_or_is_refused(text):
    try:
        clause = parse_text(text)
    except InvalidArgument:
        return
    assert clause.should or clause.must
    for words in (*clause.should, *clause.must, *clause.must_not):
        assert any(character.isalnum() for character in words)
        assert '"' not in words
        assert words == " ".join(words.split())
