"""Page tokens of failures: what we gave out is read back, anything else is refused with one error."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import MAX_PHOTO_ID_BYTES
from miradouro.core.failure_page import position_of, token_of

COLLECTION = "c" * 64


@given(st.text(max_size=MAX_PHOTO_ID_BYTES // 4))
@example("\x01" * MAX_PHOTO_ID_BYTES)
@example("\N{GRINNING FACE}" * (MAX_PHOTO_ID_BYTES // 4))
def test_a_token_gives_back_its_place(photo_id):
    assert position_of(token_of(COLLECTION, photo_id)) == (COLLECTION, photo_id)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.text() | st.text(alphabet='[]{}",: \\u0d89e') | JSON.map(json.dumps))
@example("[" * 100_000)
@example("[" * 5_000)
@example('{"a":' * 1_000)
@example('["a", "\\ud800"]')
@example('["' + "a" * 10_000 + '", "b"]')
@example("1" * 8_000)
@example('{"a": 1, "b": 2}')
def test_any_other_token_is_one_error(token):
    try:
        position = position_of(token)
    except InvalidArgument as exc:
        refusal = exc
    else:
        assert position is None or position == tuple(json.loads(token))
        assert position is None or all(part.encode() is not None for part in position)
        return
    assert refusal.field == "page_token"
    assert len(refusal.message) < 1_000


def test_an_empty_token_is_the_first_page():
    assert position_of("") is None


@pytest.mark.parametrize("token", ["null", "[]", '["a"]', '["a", "b", "c"]', '["a", 1]', '"ab"'])
def test_tokens_of_another_shape_are_refused(token):
    with pytest.raises(InvalidArgument, match="page_token"):
        position_of(token)
