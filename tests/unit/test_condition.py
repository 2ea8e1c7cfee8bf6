"""The condition of a step: what holds, what doesn't, and what is no condition."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.decode import decode
from miradouro.core.document import Tag, TagKind
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.pipeline import PhotoInProgress
from miradouro.processors.condition import MAX_CONDITION_CHARS, BadCondition, parse_condition

from tests.pictures import blocks, encode, jpeg
from tests.tiny_bundle import TINY

EVENT = PhotoEvent(
    "e",
    EventKind.UPLOADED,
    "trips",
    "lisbon/tram.jpg",
    3,
    uri="file:///tram.jpg",
    title="Tram 28",
    tags=("tram", "private"),
    owner="Ana",
    attributes={"camera": "Leica Q3", "empty": ""},
)
FRESH = PhotoInProgress(EVENT, ())
PNG = replace(FRESH, data=encode(blocks(60, 40), "PNG"))
DECODED = replace(FRESH, data=jpeg(60, 40), decoded=decode(jpeg(60, 40), [TINY]))


@pytest.mark.parametrize(
    ("text", "photo", "holds"),
    [
        ('collection == "trips"', FRESH, True),
        ('collection != "trips"', FRESH, False),
        ('collection in ["a", "trips"]', FRESH, True),
        ('collection not in ["a", "b"]', FRESH, True),
        ("photo_id in []", FRESH, False),
        ('media_type == "image/png"', FRESH, False),
        ('media_type == "image/png"', PNG, True),
        ('media_type == "image/jpeg"', DECODED, True),
        ("width >= 60 and height < 41", DECODED, True),
        ("width > 60 or height <= 39", DECODED, False),
        ("width", FRESH, False),
        ("width in [60, 61]", DECODED, True),
        ("version == 3", FRESH, True),
        ('"private" in tags', FRESH, True),
        ('"trolley" in tags', replace(FRESH, tags=(Tag("trolley", 0.5, TagKind.LABEL),)), True),
        ('not ("private" in tags or "x" in tags)', FRESH, False),
        ('"rating" not in attributes', FRESH, True),
        ('"made" in attributes', replace(FRESH, attributes={"made": "up"}), True),
        ('attributes["camera"] == "Leica Q3"', FRESH, True),
        ('attributes["none"] == ""', FRESH, True),
        ('attributes["empty"]', FRESH, False),
        ("tags", FRESH, True),
        ("attributes", replace(FRESH, event=replace(EVENT, attributes={})), False),
        ("not caption and title and owner and uri", FRESH, True),
        ('caption == "made"', replace(FRESH, caption="made"), True),
        ("  title  ", FRESH, True),
    ],
)
def test_a_condition_is_evaluated_on_the_current_photo(text, photo, holds):
    assert parse_condition(text).holds(photo) is holds


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "column 1"),
        ("media_type ==", "column"),
        ('media_typ == "x"', r"column 1: media_typ is no field.*media_type"),
        ('owner == "a" and kind == "b"', "column 18: kind is no field"),
        ("owner == 3", "column 10: 3 can't be compared here; allowed: a text in quotes"),
        ('width == "3"', "a whole number"),
        ("width == True", "a whole number"),
        ("width == 3.5", "a whole number"),
        ('owner < "b"', "texts have no order"),
        ("1 < width < 3", "no condition"),
        ('owner is "b"', "no comparison"),
        ('owner in "abc"', "a list of values in brackets"),
        ('owner in ["a", 3]', "column 16: 3 can't be compared"),
        ("3 in tags", "a text in quotes"),
        ('tags == "a"', "tags is no field to compare"),
        ("attributes[3]", "no field"),
        ('"a"', "no condition"),
        ('__import__("os").system("true")', "no condition"),
        ("owner.upper()", "no condition"),
        ("(lambda: owner)()", "no condition"),
        ("[x for x in tags]", "no condition"),
        ('owner == f"{1}"', "can't be compared"),
        ("owner == \x00", "."),
        ("not " * 240 + "owner" + "(" * 30, "."),
        ("a" * (MAX_CONDITION_CHARS + 1), "1,001 characters"),
    ],
)
def test_an_invalid_condition_error_shows_place_and_alternatives(text, named):
    with pytest.raises(BadCondition, match=named):
        parse_condition(text)


@given(st.text(alphabet="ownerti tlgs=!<>[]()\"'\\,.:1andor\n\t\0é", max_size=60))
def test_any_text_is_a_condition_or_is_refused(text):
    try:
        condition = parse_condition(text)
    except BadCondition:
        return
    assert condition.holds(FRESH) in {True, False}
