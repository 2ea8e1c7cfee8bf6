"""The message of an error in the header of an answer."""

from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.errors import BadPhoto, ProvenanceMismatch
from miradouro.runtime.rpc import MAX_DETAILS_BYTES, details


@given(st.text(max_size=3000))
def test_details_are_the_message_or_its_beginning_and_fit_a_header(message):
    text = details(message)
    assert len(text.encode()) <= MAX_DETAILS_BYTES
    if text != message and "\\ud" not in text:
        assert message.startswith(text.removesuffix("…"))


def test_short_messages_stay_intact_whatever_their_letters():
    for error in (ProvenanceMismatch("ç", "ü" * 64, "写" * 64), BadPhoto("unreadable", "a\nb\tc")):
        assert details(error.message) == error.message
