"""The text of --filter becomes conditions, and what is wrong with it is pointed at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.document import GeoPoint
from miradouro.core.errors import InvalidArgument
from miradouro.core.filter_grammar import (
    FORMS,
    MAX_CONDITIONS,
    MAX_FILTER_CHARS,
    MAX_RADIUS_M,
    MAX_VALUES,
    format_filter,
    parse_filter,
)
from miradouro.core.query import (
    AttributeIn,
    FileNamePrefix,
    InBox,
    Near,
    NoneOf,
    OwnerIs,
    TagIs,
    TakenBetween,
)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def local(*parts):
    return datetime(*parts)  # noqa: DTZ001 # a wall clock


def underlined(error):
    """What the carets of an error stand below; every character of the text takes one cell."""
    _, text, carets = str(error).split("\n")
    return "".join(letter for letter, caret in zip(text, carets.ljust(len(text)), strict=True) if caret == "^")


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", ()),
        (" \t\n", ()),
        ("tag:dog", (TagIs("dog"),)),
        ("TAG:Dog", (TagIs("Dog"),)),
        ('tag:"golden retriever" tag:água', (TagIs("golden retriever"), TagIs("água"))),
        ('owner:"Ana \\"A\\" \\\\ Silva"', (OwnerIs('Ana "A" \\ Silva'),)),
        ('owner:""', (OwnerIs(""),)),
        ("owner:mailto:ana@example.org", (OwnerIs("mailto:ana@example.org"),)),
        ('attr.camera:"Leica Q3"', (AttributeIn("camera", ("Leica Q3",)),)),
        ('attr.rating:4|5|"not | yet"', (AttributeIn("rating", ("4", "5", "not | yet")),)),
        ('attr."Colour space: x":sRGB', (AttributeIn("Colour space: x", ("sRGB",)),)),
        ("attr.exif.iso:100", (AttributeIn("exif.iso", ("100",)),)),
        ("-attr.rating:1|2", (NoneOf((AttributeIn("rating", ("1", "2")),)),)),
        ("-tag:cat tag:-dog", (NoneOf((TagIs("cat"),)), TagIs("-dog"))),
        ("name:IMG_", (FileNamePrefix("IMG_"),)),
        ("near:38.71,-9.14,2km", (Near(GeoPoint(38.71, -9.14), 2_000),)),
        ('near:"38.71, -9.14, 500 m"', (Near(GeoPoint(38.71, -9.14), 500),)),
        ("near:+90,-180,1e-3KM", (Near(GeoPoint(90, -180), 1),)),
        ("box:38.6,-9.3,38.8,-9.0", (InBox(GeoPoint(38.6, -9.3), GeoPoint(38.8, -9)),)),
        ("box:-20,170,-10,-170", (InBox(GeoPoint(-20, 170), GeoPoint(-10, -170)),)),
        ("tag:a\u2003tag:b", (TagIs("a"), TagIs("b"))),
    ],
)
def test_each_field_gives_its_condition(text, conditions):
    assert parse_filter(text) == conditions


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", local(2024, 1, 1), local(2025, 1, 1)),
        ("2024-12", local(2024, 12, 1), local(2025, 1, 1)),
        ("2024-02-29", local(2024, 2, 29), local(2024, 3, 1)),
        ("2024-05..2024-08-31", local(2024, 5, 1), local(2024, 9, 1)),
        ("2024-05-31..2024-05-31", local(2024, 5, 31), local(2024, 6, 1)),
        ("2024..", local(2024, 1, 1), None),
        ("..2024-05", None, local(2024, 6, 1)),
        ("..", None, None),
        ("2024-05-01T18:30", local(2024, 5, 1, 18, 30), local(2024, 5, 1, 18, 31)),
        ("2024-05-01T18:30:59Z", utc(2024, 5, 1, 18, 30, 59), utc(2024, 5, 1, 18, 31)),
        ("2024-05-01t00:30:00.25+01:00", utc(2024, 4, 30, 23, 30, 0, 250_000), utc(2024, 4, 30, 23, 30, 0, 260_000)),
        ("2024-05-01T00:00:00-05:30..2024-05-02", utc(2024, 5, 1, 5, 30), local(2024, 5, 3)),
        ("9998", local(9998, 1, 1), local(9999, 1, 1)),
    ],
)
def test_a_time_is_a_span_inclusive_in_ranges(text, start, end):
    assert parse_filter(f"taken:{text}") == (TakenBetween(start, end),)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("tag:dog tags:cat", "tags", "did you mean tag:dog?"),
        ("onwer:Ana", "onwer", "did you mean owner:"),
        ("camera:Leica", "camera", "an attribute is written attr.NAME:value"),
        ("tag.x:dog", "tag.x", "is no field"),
        ("tag:a dog", "dog", "'dog' is no condition"),
        ("tag:", "tag:", "a value is missing"),
        ("tag: dog", "tag: ", "a value is missing"),
        ("attr.rating:4| 5", "attr.rating:4| ", "a value is missing"),
        ('tag:""', "^", "0 characters; allowed: 1 to 128"),
        ('owner:"Ana Silva', '"Ana Silva', "never closed"),
        ('owner:"Ana\\"', '"Ana\\"', "never closed"),
        ('tag:a" b', '"', "ends before this"),
        ('tag:"a"b', "b", "ends before this"),
        ('"dog"', '"', "misplaced"),
        ('attr."a:b', '"', "never closed"),
        ("tag:a|b", "b", "only attributes take several"),
        ("name:2024/IMG_", "2024/IMG_", "leave the folders out"),
        ("attr:x", "attr:", "1 to 128 characters, not 0"),
        ('attr."a".b:x', '"', "misplaced"),
        ('attr."":x', 'attr."":', "1 to 128 characters, not 0"),
        ("taken:2026-02-30", "2026-02-30", "'2026-02-30' is not in the calendar"),
        ("taken:2024..2026-02-30", "2026-02-30", "'2026-02-30' is not in the calendar"),
        ("taken:2024-13", "2024-13", "month must be in 1..12"),
        ("taken:0000", "0000", "years 1 to 9998"),
        ("taken:9999", "9999", "years 1 to 9998"),
        ("taken:0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00", "years 1 to 9998"),
        ("taken:2024-05-01T24:00:00Z", "2024-05-01T24:00:00Z", "hour must be in 0..23"),
        ("taken:2024-05-01T10:00:00+24:00", "2024-05-01T10:00:00+24:00", "is no time"),
        ("taken:٢٠٢٤", "٢٠٢٤", "is no time"),
        ("taken:may", "may", "'may' is no time; write 2024"),
        ("taken:2024..2023", "2024..2023", "ends before it begins"),
        ("taken:2024..2025..2026", "2024..2025..2026", "one '..'"),
        ("near:90.5,0,1km", "90.5", "not within -90 to 90 degrees"),
        ("near:0,-180.5,1km", "-180.5", "not within -180 to 180 degrees"),
        ("near:nan,0,1km", "nan", "latitude 'nan' is no number"),
        ("near:0,inf,1km", "inf", "longitude 'inf' is no number"),
        ("near:0,1e999,1km", "1e999", "not within -180 to 180"),
        ("near:0,0,-1km", "-1km", "more than 0m"),
        ("near:0,0,0m", "0m", "more than 0m"),
        ("near:0,0,30000km", "30000km", "at most 20,037,509m"),
        ("near:0,0,5", "5", "'5' is no radius; write a number and its unit"),
        ("near:0,0,5mi", "5mi", "is no radius"),
        ("near:0,0", "0,0", "LATITUDE,LONGITUDE,RADIUS"),
        ('near:"0, x, 1km"', "x", "longitude 'x' is no number"),
        ("box:2,0,1,0", "2,0,1", "south '2' lies north of '1'"),
        ("box:1,2,3", "1,2,3", "SOUTH,WEST,NORTH,EAST"),
        ("box:0,0,91,0", "91", "latitude '91'"),
    ],
)
def test_an_error_names_and_underlines_the_mistake(text, place, words):
    with pytest.raises(InvalidArgument) as caught:
        parse_filter(text)

    assert caught.value.field == "filter"
    assert words in str(caught.value)
    if place != "^":  # an empty value has no character to stand below
        assert underlined(caught.value) == place
        column = int(str(caught.value).split("column ")[1].split(":")[0])
        assert text[column - 1 :].startswith(place)


def test_an_unknown_field_lists_the_allowed_ones():
    with pytest.raises(InvalidArgument) as caught:
        parse_filter("colour:red")

    assert all(form in str(caught.value) for form in FORMS.values())


def test_every_form_shown_in_help_and_errors_parses():
    assert len(parse_filter(" ".join(FORMS.values()))) == len(FORMS)


def test_wide_and_combining_characters_keep_carets_aligned():
    with pytest.raises(InvalidArgument) as wide:
        parse_filter("owner:日本 cat")
    with pytest.raises(InvalidArgument) as combined:
        parse_filter("owner:Joa\u0303o cat")

    assert str(wide.value).endswith("\n" + " " * 13 + "^^^")
    assert str(combined.value).endswith("\n" + " " * 13 + "^^^")


def test_an_error_in_a_long_text_is_excerpted():
    with pytest.raises(InvalidArgument) as caught:
        parse_filter("tag:a\n" * 20 + "dog " + "tag:b\n" * 20)

    assert underlined(caught.value) == "dog"
    assert max(map(len, str(caught.value).split("\n"))) < 130


def test_a_huge_value_gives_a_small_message():
    for text in ("taken:" + "9" * 5_000, "near:0,0," + "9" * 5_000, "x" * 5_000 + ":y", "y" * 5_000):
        with pytest.raises(InvalidArgument) as caught:
            parse_filter(text)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x" * (MAX_FILTER_CHARS + 1), "16,385 characters"),
        ("tag:a " * (MAX_CONDITIONS + 1), "more than 256 conditions"),
        ("-tag:a " * (MAX_CONDITIONS // 2 + 1), "more than 256 conditions"),
        (f"attr.a:{'|'.join('b' * MAX_VALUES)} " * 5, "more than 256 conditions"),
        ("attr.a:" + "|".join("b" * (MAX_VALUES + 1)), "more than 64 values"),
        ("tag:" + "x" * 129, "129 characters; allowed: 1 to 128"),
        ("attr.a:ok|" + "x" * 1_025, "1,025 characters; allowed: 0 to 1,024"),
        ("tag:caf\udce9", "column 8: this is no character"),
    ],
)
def test_input_beyond_a_limit_names_the_limit(text, words):
    with pytest.raises(InvalidArgument, match=words):
        parse_filter(text)


def test_the_limits_themselves_are_allowed():
    assert len(parse_filter("tag:a " * MAX_CONDITIONS)) == MAX_CONDITIONS
    assert len(parse_filter("attr.a:" + "|".join("b" * MAX_VALUES))[0].values) == MAX_VALUES
    assert parse_filter(f"near:0,0,{MAX_RADIUS_M}m") == (Near(GeoPoint(0, 0), MAX_RADIUS_M),)


def test_the_caller_names_the_field():
    with pytest.raises(InvalidArgument) as caught:
        parse_filter("dog", field="--filter")

    assert caught.value.field == "--filter"


@pytest.mark.parametrize(
    "text",
    [
        "tag:dog",
        "taken:2024",
        "taken:2024-05",
        "taken:2024-05-01",
        "taken:2024-05-01..2024-05-03",
        "taken:2024-05-01T18:30:00Z..",
        "taken:2024-05-01T18:30:00..2024-05-01T18:59:59",
        "taken:2024-05-01T00:00:00Z..2024-05-31",
        "taken:..2024-05-31",
        "near:38.71,-9.14,2km",
        "near:0,0,999.5m",
        'attr."a b":"c d"|e',
        "-tag:cat",
        "box:38.6,-9.3,38.8,-9",
    ],
)
def test_a_filter_is_written_as_a_person_would(text):
    assert format_filter(parse_filter(text)) == text


def test_a_negation_of_several_is_written_separately():
    assert format_filter([NoneOf((TagIs("a"), OwnerIs("b")))]) == "-tag:a -owner:b"


def test_a_negation_of_a_negation_has_no_words():
    with pytest.raises(ValueError, match="negates a negation"):
        format_filter([NoneOf((NoneOf((TagIs("a"),)),))])


characters = st.characters(exclude_categories=["Cs"])
times = st.datetimes(datetime(2, 1, 1), datetime(9999, 12, 30), timezones=st.sampled_from([None, UTC]))  # noqa: DTZ001 - wall clocks, too
midnights = times.map(lambda time: time.replace(hour=0, minute=0, second=0, microsecond=0))
bounds = st.none() | times | midnights | times.map(lambda time: time.replace(microsecond=0))
latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)
places = st.builds(GeoPoint, latitudes, longitudes)


def are_comparable(span):
    return span.start and span.end and (span.start.tzinfo is None) == (span.end.tzinfo is None)


conditions = st.one_of(
    st.builds(TagIs, st.text(characters, min_size=1, max_size=128)),
    st.builds(OwnerIs, st.text(characters, max_size=256)),
    st.builds(FileNamePrefix, st.text(characters, min_size=1, max_size=50).map(lambda name: name.replace("/", "_"))),
    st.builds(
        AttributeIn,
        st.text(characters, min_size=1, max_size=128),
        st.lists(st.text(characters, max_size=20), min_size=1, max_size=5).map(tuple),
    ),
    st.builds(TakenBetween, bounds, bounds).filter(lambda span: not are_comparable(span) or span.start < span.end),
    st.builds(Near, places, st.floats(0, MAX_RADIUS_M, exclude_min=True) | st.integers(1, 20_000_000).map(float)),
    st.builds(
        lambda latitudes, west, east: InBox(GeoPoint(min(latitudes), west), GeoPoint(max(latitudes), east)),
        st.tuples(latitudes, latitudes),
        longitudes,
        longitudes,
    ),
)
filters = st.lists(conditions | conditions.map(lambda condition: NoneOf((condition,))), max_size=5).map(tuple)


@settings(deadline=None)
@given(filters)
def test_written_conditions_are_read_back(wanted):
    assert parse_filter(format_filter(wanted)) == wanted


@settings(deadline=None)
@given(times, st.integers(1, 2_000_000))
def test_spans_of_any_microseconds_are_read_back(start, microseconds):
    span = TakenBetween(start, start + timedelta(microseconds=microseconds))

    assert parse_filter(format_filter([span])) == (span,)


scraps = st.sampled_from(
    [form[:cut] for form in FORMS.values() for cut in (3, 5, 8, None)] + list(' :"|-,.\\\n') + ["T10:00", "nan"]
)


@settings(deadline=None)
@given(st.text() | st.lists(scraps | st.text(max_size=3), max_size=20).map("".join))
def test_any_text_gives_conditions_or_one_error(text):
    try:
        found = parse_filter(text)
    except InvalidArgument:
        return
    assert parse_filter(format_filter(found)) == found
