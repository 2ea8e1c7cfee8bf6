"""Page tokens cannot be made up, altered, or used for another question."""

import base64
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.errors import InvalidArgument
from miradouro.core.page import read_page, sign_page
from miradouro.core.query import After, Behind

KEY = b"k" * 32
REFUSAL = "page_token: not a token of this question"


PHOTO_IDS = st.text(min_size=1, max_size=20)
PAGES = (
    st.integers(0, 2**32 - 1)
    | st.builds(
        After,
        photo_id=PHOTO_IDS,
        score=st.floats(allow_nan=False, allow_infinity=False),
        taken_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
    | st.builds(Behind, offset=st.integers(0, 10_000), photo_id=PHOTO_IDS, distance=st.floats(0, 2))
)


@given(page=PAGES, question=st.binary(max_size=64), key=st.binary(min_size=16, max_size=64))
def test_a_token_gives_back_its_page(page, question, key):
    assert read_page(sign_page(page, question=question, key=key), question=question, key=key) == page


def test_an_empty_token_is_the_first_page():
    assert read_page("", question=b"q", key=KEY) == 0


@given(page=PAGES, data=st.data())
def test_a_token_with_one_character_altered_is_refused(page, data):
    token = sign_page(page, question=b"q", key=KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != token[place]))
    with pytest.raises(InvalidArgument, match=REFUSAL):
        read_page(token[:place] + other + token[place + 1 :], question=b"q", key=KEY)


@given(st.text(min_size=1, max_size=60))
def test_a_token_that_was_made_up_is_refused(token):
    with pytest.raises(InvalidArgument, match=REFUSAL):
        read_page(token, question=b"q", key=KEY)


def test_a_token_of_another_query_or_server_fails():
    token = sign_page(10, question=b"q", key=KEY)
    with pytest.raises(InvalidArgument, match=REFUSAL):
        read_page(token, question=b"r", key=KEY)
    with pytest.raises(InvalidArgument, match=REFUSAL):
        read_page(token, question=b"q", key=b"other" * 8)


def test_the_page_of_a_token_cannot_be_exchanged():
    low, high = (sign_page(offset, question=b"q", key=KEY) for offset in (10, 20))
    mixed = _raw(high)[:16] + _raw(low)[16:]
    assert _raw(low)[16:] != _raw(high)[16:]
    with pytest.raises(InvalidArgument, match=REFUSAL):
        read_page(base64.urlsafe_b64encode(mixed).rstrip(b"=").decode(), question=b"q", key=KEY)


def test_a_short_key_is_a_programming_error():
    with pytest.raises(ValueError, match="at least 16"):
        sign_page(10, question=b"q", key=b"short")


def _raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
