from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.highlights import highlighted, searched_stems
from miradouro.core.stem import stem
from miradouro.core.understood import Term, TermOrigin, UnderstoodWord

CAPTION = "Sunset picture taken in Lisbon from Miradouro da Graça"


def test_words_that_were_found_are_marked_as_written() -> None:
    understood = [
        UnderstoodWord("sunsets", (Term("sunsets", TermOrigin.EXACT),)),
        UnderstoodWord("lisbn", (Term("lisbn", TermOrigin.EXACT), Term("lisbon", TermOrigin.SPELLING, 0.8))),
        UnderstoodWord("da Graça", (Term("graca", TermOrigin.EXACT),)),
    ]
    parts = highlighted(CAPTION, searched_stems(understood))
    assert "".join(part.text for part in parts) == CAPTION
    assert [part.text for part in parts if part.is_match] == ["Sunset", "Lisbon", "Graça"]
    assert highlighted("nothing here", searched_stems(understood)) == ()


@given(st.text(), st.sets(st.text(min_size=1, max_size=3)))
def test_parts_join_to_the_text(text: str, words: set[str]) -> None:
    parts = highlighted(text, frozenset(map(stem, words)))
    assert not parts or "".join(part.text for part in parts) == text
