"""Texts of errors: bounded where they are made, whatever they are made of."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.error_text import MAX_ERROR_BYTES, cut, shown
from miradouro.core.errors import BadPhoto, Corrupt, InvalidArgument, MiradouroError, ProvenanceMismatch

MEGABYTES = 32 * 1024 * 1024
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Unprintable(list):
    """A value whose `repr` must not be made: it would be as long as the value."""

    def __repr__(self) -> str:
        raise AssertionError("the whole value was put into words")


@given(st.text(st.characters()), st.integers(0, 2_000))
def test_a_message_is_itself_or_its_bounded_beginning(text, times):
    message = (text * times).replace(":/", "").replace(":\\", "")
    error = Corrupt(message)
    assert str(error) == error.message
    assert len(error.message.encode()) <= MAX_ERROR_BYTES
    escaped = message.encode("utf-8", "backslashreplace").decode()
    assert error.message == escaped or (error.message.endswith("…") and escaped.startswith(error.message[:-1]))


def test_short_messages_stay_intact_in_any_script():
    for error in (ProvenanceMismatch("ç", "ü" * 64, "写" * 64), BadPhoto("unreadable", "a\nb\tc")):
        assert error.message.endswith(("collection", "a\nb\tc"))


def test_a_long_field_leaves_room_for_the_message():
    error = InvalidArgument("attributes." + "x" * MEGABYTES, "it is no text")
    assert len(error.field.encode()) <= 200
    assert error.message.endswith("…: it is no text")


@given(VALUES)
def test_any_value_is_shown_in_a_bounded_text(value):
    assert len(shown(value)) <= 1_010
    assert shown(value).isprintable()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\x1b]0;b", "'a\\x1b]0;b'"),
        ("é" * 101, f"'{'é' * 100}'…"),
        (b"a" * MEGABYTES, f"b'{'a' * 100}'…"),
        ("a" * MEGABYTES, f"'{'a' * 100}'…"),
        (Unprintable([1, 2]), "a Unprintable of 2"),
        ({"a": Unprintable()}, "a dict of 1"),
        (timedelta(1), "a timedelta"),
        pytest.param(1 << 100_000, "an integer of 100,001 bits", id="integer"),
        (True, "True"),
        (None, "None"),
        ("https://ana:secret@photos.example/a.jpg?sig=secret", "'https://photos.example/a.jpg'"),
    ],
)
def test_values_are_shown_without_the_whole_of_them(value, text):
    assert shown(value) == text


@given(st.text(), st.integers(3, 50))
def test_a_text_is_cut_between_characters(text, most):
    assert len(cut(text, most).encode()) <= most


def test_no_error_is_raised_past_the_bound():
    kinds = [MiradouroError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert len(kinds) > 10
    for kind in kinds:
        assert kind.__init__ is MiradouroError.__init__ or issubclass(kind, InvalidArgument | ProvenanceMismatch)
