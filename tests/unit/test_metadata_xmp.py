"""XMP is read as other programs read it: the photo's own words alone, and all of them where the packet is not quite XML."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.metadata.xmp_walk import walk_leniently, walk_strictly

from tests.metadata_blocks import packet, said_by_xmp

STRANGER = """<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description dc:title="placed" xmp:Rating="1">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">placed</rdf:li></rdf:Alt></dc:title><dc:description>placed</dc:description>
<dc:subject><rdf:Bag><rdf:li>placed</rdf:li></rdf:Bag></dc:subject><xmp:CreateDate>2001-01-01T00:00</xmp:CreateDate>
</rdf:Description></rdf:li></rdf:Bag></xmpMM:Pantry>
<xmpMM:History><rdf:Seq><rdf:li rdf:parseType="Resource"><dc:title>placed</dc:title></rdf:li></rdf:Seq></xmpMM:History>"""
OWN = """<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Own title</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>own</rdf:li><rdf:li>two words</rdf:li></rdf:Bag></dc:subject>"""
READ = PhotoMetadata(title="Own title", tags=("own", "two words"))


@pytest.mark.parametrize("properties", [STRANGER + OWN, OWN + STRANGER, OWN])
def test_words_of_ingredients_are_not_the_photos(properties):
    assert said_by_xmp(packet(properties)) == READ


def test_an_ingredient_alone_is_ignored():
    assert said_by_xmp(packet(STRANGER)) == PhotoMetadata()


@pytest.mark.parametrize("language", ["x-default", ""])
def test_an_empty_default_hides_no_other_language(language):
    texts = f"""<dc:description><rdf:Alt><rdf:li xml:lang="{language}"> </rdf:li>
<rdf:li xml:lang="pt-PT">Um eléctrico</rdf:li><rdf:li xml:lang="en">A tram</rdf:li></rdf:Alt></dc:description>"""

    assert said_by_xmp(packet(texts)).caption == "Um eléctrico"


@pytest.mark.parametrize(
    ("properties", "attributes"),
    [
        ("<dc:title>T</dc:title><dc:description>D</dc:description><dc:subject>S</dc:subject>", ""),
        ("", 'dc:title="T" dc:description="D" dc:subject="S"'),
        ('<dc:title xml:lang="en">T</dc:title><dc:description><![CDATA[D]]></dc:description><dc:subject>S</dc:subject>', ""),
        (
            "<dc:title><rdf:Alt><rdf:li>T</rdf:li></rdf:Alt></dc:title><dc:description><rdf:Description><rdf:value>D</rdf:value>"
            '<xmp:Label>blue</xmp:Label></rdf:Description></dc:description><dc:subject><rdf:Bag><rdf:li rdf:parseType="Resource">'
            "<rdf:value>S</rdf:value><xmp:Label>blue</xmp:Label></rdf:li></rdf:Bag></dc:subject>",
            "",
        ),
    ],
)
def test_every_form_of_a_text_is_read(properties, attributes):
    assert said_by_xmp(packet(properties, attributes=attributes)) == PhotoMetadata("T", "D", ("S",))


@pytest.mark.parametrize(
    ("properties", "tags"),
    [
        (
            "<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Portugal|Lisboa</rdf:li><rdf:li>tram</rdf:li></rdf:Bag>"
            "</lr:hierarchicalSubject>",
            ("Lisboa", "Portugal", "Places", "tram"),
        ),
        (
            "<digiKam:TagsList><rdf:Seq><rdf:li>Places/Portugal/Lisboa</rdf:li><rdf:li>_Digikam_Internal_Tags_/Pick</rdf:li>"
            "</rdf:Seq></digiKam:TagsList>",
            ("Lisboa", "Portugal", "Places"),
        ),
        (
            "<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Lisboa</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
            "<dc:subject><rdf:Bag><rdf:li>Lisboa</rdf:li></rdf:Bag></dc:subject>",
            ("Lisboa",),
        ),
    ],
)
def test_keyword_paths_are_tags_when_subjects_are_missing(properties, tags):
    assert said_by_xmp(packet(properties)).tags == tags


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('xmp:Rating="4"', 4),
        ('xmp:Rating="3.0"', 3),
        ('xmp:Rating="0"', None),
        ('xmp:Rating="-1"', None),
        ('MicrosoftPhoto:Rating="75"', 4),
        ('xmp:Rating="0" MicrosoftPhoto:Rating="99"', 5),
        ('xmp:Rating="5" MicrosoftPhoto:Rating="1"', 5),
    ],
)
def test_stars_are_read(attributes, expected):
    assert said_by_xmp(packet("", attributes=attributes)) == PhotoMetadata(rating=expected)


@pytest.mark.parametrize("rating", ["many", "6", "nan", "inf", "-2", "1e999"])
def test_stars_that_are_none_are_named(rating):
    assert said_by_xmp(packet("", attributes=f'xmp:Rating="{rating}"')) == PhotoMetadata(unread=("xmp.rating",))


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        ("38,42.465N", "9,8.1955W", (38.70775, -9.136591666)),
        ("33,51,24.6S", "151,12E", (-33.85683333, 151.2)),
        ("0,0N", "0,0E", None),
    ],
)
def test_places_are_read(latitude, longitude, expected):
    place = said_by_xmp(packet("", attributes=f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"')).place

    assert expected is None if place is None else (place.latitude, place.longitude) == pytest.approx(expected)


@pytest.mark.parametrize(("latitude", "longitude"), [("91,0N", "9,0W"), ("38,0N", ""), ("38,0E", "9,0W"), ("38", "9")])
def test_places_that_are_none_are_named(latitude, longitude):
    found = said_by_xmp(packet(OWN, attributes=f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"'))

    assert (found.place, found.title, found.unread) == (None, "Own title", ("xmp.place",))


def test_the_camera_is_read():
    assert said_by_xmp(packet("", attributes='tiff:Make="LEICA CAMERA AG" tiff:Model="LEICA Q3"')).camera == "LEICA Q3"


SOUND = packet(OWN)
DEFECTS = {
    "end of the packet is missing": SOUND[:-1],
    "end of everything is missing": SOUND[: SOUND.index(b"</rdf:Description>")],
    "rubbish after the packet": SOUND + b"\0\0<!&" + bytes(40),
    "rubbish before the packet": b"\1\2 rubbish & " + SOUND,
    "declaration within": SOUND.replace(b"<x:xmpmeta", b'<?xml version="1.0"?><x:xmpmeta', 1),
    "two packets": SOUND + SOUND.replace(b"Own title", b"Another"),
    "name with a slash": SOUND.replace(b"<dc:title>", b"<xmp:a/b>x</xmp:a/b><dc:title>"),
    "empty name with a slash": SOUND.replace(b"<dc:title>", b'<xmp:a/b c="d"/><dc:title>'),
    "name that begins with a digit": SOUND.replace(b"<dc:title>", b"<1st>x</1st><dc:title>"),
    "name with two colons": SOUND.replace(b"<dc:title>", b"<a:b:c>x</a:b:c><dc:title>"),
    "attribute with a slash": SOUND.replace(b"rdf:about", b'xmp:a/b="1" rdf:about', 1),
    "attribute twice": SOUND.replace(b"rdf:about", b'xmp:a="1" xmp:a="2" rdf:about', 1),
    "attribute without quotes": SOUND.replace(b"<dc:title>", b"<xmp:a b=c></xmp:a><dc:title>"),
    "prefix that nobody declared": SOUND.replace(b"<dc:title>", b"<no:a>x</no:a><dc:title>"),
    "no prefix declared": SOUND.replace(b"xmlns:", b"nsxml:"),
    "element that nobody ends": SOUND.replace(b"<dc:title>", b"<xmp:a><dc:title>").replace(b"<rdf:Bag>", b"<own:b><rdf:Bag>"),
    "brackets within an attribute": SOUND.replace(b'rdf:about=""', b'rdf:about="a<b>c"'),
    "rubbish among attributes": SOUND.replace(b'rdf:about=""', b"= ' rdf:about= \"", 1),
    "container of an unknown name": SOUND.replace(b"rdf:Bag>", b"rdf:Bog>").replace(b"rdf:Alt>", b"Alt>"),
    "slash instead of an end": SOUND.replace(b"<dc:subject>", b"<dc:subject/"),
    "items that nobody ends": SOUND.replace(b"</rdf:li></rdf:Alt>", b"</rdf:Alt>"),
    "end of nothing": SOUND.replace(b"<dc:title>", b"</xmp:a><dc:title>"),
    "comment that nobody ends": SOUND.replace(b"<dc:title>", b"<!-- <dc:title>"),
    "double hyphen in a comment": SOUND.replace(b"<dc:title>", b"<!-- a -- b --><dc:title>"),
    "control characters": SOUND.replace(b"Own title", b"Own\1 title\x0b"),
    "zeros within": SOUND.replace(b"<dc:title>", b"\0\0<dc:title>"),
    "half a character": SOUND.replace(b"</rdf:RDF>", b"\xc3</rdf:RDF>"),
    "unknown entity elsewhere": SOUND.replace(b"<dc:title>", b"<xmp:a>&nbsp;</xmp:a><dc:title>"),
    "UTF-16, little end first": SOUND.decode().encode("utf-16-le"),
    "UTF-16, big end first": SOUND.decode().encode("utf-16-be"),
    "UTF-16 with a mark": ("\ufeff" + SOUND.decode()).encode("utf-16-be"),
    "UTF-16 and a bare ampersand": SOUND.decode().replace("<dc:title>", "&<dc:title>").encode("utf-16-le"),
    "UTF-32, little end first": SOUND.decode().encode("utf-32-le"),
    "UTF-32, big end first": SOUND.decode().encode("utf-32-be"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_loses_no_word(defect):
    found = said_by_xmp(DEFECTS[defect])

    assert found.title == READ.title
    assert found.tags == READ.tags


@pytest.mark.parametrize(
    ("written", "title"),
    [
        (b"Tom & Ana", "Tom & Ana"),
        (b"Tom &amp; Ana &", "Tom & Ana &"),
        (b"R&D; &nbsp; &#233; &#xe9; &", "R&D; &nbsp; é é &"),
        (b"Caf\xe9 title", "Café title"),
        ("Café ".encode() + b"\xe9\x93", "Café é“"),
        (b"1 < 2", "1 < 2"),
        (b"I <3 trams & more", "I <3 trams & more"),
        (b"&#0;&#1114112;&#xffffff;a &", "a &"),
    ],
)
def test_a_defect_within_a_word_keeps_it(written, title):
    found = said_by_xmp(packet(OWN).replace(b"Own title", written))

    assert (found.title, found.tags, found.unread) == (title, READ.tags, ())


def test_damaged_packets_may_not_contain_a_document_type():
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'

    assert said_by_xmp(packet(OWN, before=laughs).replace(b"Own title", b"&b; & &")) == PhotoMetadata(unread=("xmp",))


class Log:
    def __init__(self):
        self.parts = []

    def start(self, name, attributes):
        self.parts.append((name, attributes))

    def characters(self, text):
        if self.parts and isinstance(self.parts[-1], str):
            text = self.parts.pop() + text
        self.parts.append(text)

    def end(self):
        self.parts.append(None)


def walked(walk, text):
    log = Log()
    walk(text, log)
    return [part for part in log.parts if part != ""]


NAMES = st.sampled_from(["dc:title", "rdf:li", "rdf:Alt", "plain", "own:a-b.c"])
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="<&]"), max_size=12).map(
    lambda text: text + "&amp;&lt;&#233;&quot;"
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["a", "xml:lang", "dc:b", "xmlns:own", "xmlns"]),
    st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=5),
    max_size=3,
)


def element(children):
    return st.tuples(NAMES, ATTRIBUTES, st.lists(children, max_size=3)).map(
        lambda parts: "<{0}{1}>{2}</{0}>".format(
            parts[0], "".join(f' {name}="{value}"' for name, value in parts[1].items()), "".join(parts[2])
        )
    )


@settings(deadline=None)
@given(element(st.recursive(TEXTS, lambda inner: element(inner) | st.just("<!-- x --><?y z?><![CDATA[<&]]>"), max_leaves=12)))
def test_both_walks_agree_on_well_formedness(inner):
    names = "".join(f' xmlns:{prefix}="{prefix}:"' for prefix in ("dc", "rdf", "own"))
    text = f"<root{names}>{inner}</root>"

    assert walked(walk_leniently, text) == walked(walk_strictly, text)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*"<>/=\"'&!?-[]: ax", "xmlns", "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "\n"]), max_size=60))
def test_the_lenient_walk_takes_anything(parts):
    log = Log()
    walk_leniently("".join(parts), log)

    starts = sum(isinstance(part, tuple) for part in log.parts)
    assert starts == log.parts.count(None)
