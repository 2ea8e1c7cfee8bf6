"""XMP (ISO 16684-1): the photo's own title, description and subject, time, place, camera and rating."""

import re
from collections import defaultdict
from collections.abc import Iterable
from xml.parsers.expat import ExpatError

from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.metadata.block_metadata import MAX_CANDIDATES, BlockMetadata, bounded
from miradouro.core.metadata.rating import stars
from miradouro.core.metadata.times import read_time
from miradouro.core.metadata.xmp_text import decode_packet
from miradouro.core.metadata.xmp_walk import TooManyElementsError, walk_leniently, walk_strictly

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_ROOT, _RESOURCE, _ITEM, _VALUE = f"{_RDF} RDF", f"{_RDF} Description", f"{_RDF} li", f"{_RDF} value"

_DC, _XMP, _EXIF = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/exif/1.0/"
_TIFF, _PHOTOSHOP = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/photoshop/1.0/"
_TITLE, _DESCRIPTION, _SUBJECT = f"{_DC} title", f"{_DC} description", f"{_DC} subject"
# Keywords as paths, leaf last: Lightroom separates the parts by |, digiKam by /.
_PATHS = {"http://ns.adobe.com/lightroom/1.0/ hierarchicalSubject": "|", "http://www.digikam.org/ns/1.0/ TagsList": "/"}
_INTERNAL = "_Digikam_Internal_Tags_"
_TIMES = (f"{_EXIF} DateTimeOriginal", f"{_PHOTOSHOP} DateCreated", f"{_XMP} CreateDate")
_RATING, _PERCENT = f"{_XMP} Rating", "http://ns.microsoft.com/photo/1.0/ Rating"
_MAKE, _MODEL = f"{_TIFF} Make", f"{_TIFF} Model"
_LATITUDE, _LONGITUDE = f"{_EXIF} GPSLatitude", f"{_EXIF} GPSLongitude"
_WANTED = frozenset({_TITLE, _DESCRIPTION, _SUBJECT, *_PATHS, *_TIMES, _RATING, _PERCENT, _MAKE, _MODEL, _LATITUDE, _LONGITUDE})
_ANGLE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d{1,12})?)(?:,(\d{1,2}(?:\.\d{1,12})?))?([NSEW])", re.ASCII)


def read_xmp(block: bytes) -> BlockMetadata:
    """The metadata of the photo in the XMP packet `block`. Properties of pictures placed in the photo are ignored.

    Of a text in several languages the one marked x-default is taken, else the first; empty texts are ignored. A packet that is
    not well-formed XML is read leniently. A packet without XMP, or with a document type, is named in `unread`.
    """
    packet = decode_packet(block)
    if not packet:
        return BlockMetadata(unread=("xmp",) if block.strip(b"\0 \t\r\n") else ())
    unread: list[str] = []
    properties = _Properties()
    try:
        try:
            walk_strictly(packet, properties)
        except (ExpatError, UnicodeError):
            properties = _Properties()
            walk_leniently(packet, properties)
            if not properties.has_resource:
                return BlockMetadata(unread=("xmp",))
    except TooManyElementsError:
        unread.append("xmp")
    except ValueError:
        return BlockMetadata(unread=("xmp",))
    return bounded(
        titles=properties.texts(_TITLE),
        captions=properties.texts(_DESCRIPTION),
        tags=_tags(properties),
        make=properties.first(_MAKE),
        model=properties.first(_MODEL),
        place=_place(properties, unread),
        times={"xmp": _time(properties, unread)},
        rating=_rating(properties, unread),
        unread=unread,
    )


def _tags(properties: "_Properties") -> Iterable[str]:
    """The subjects, else the parts of keyword paths, each leaf before its parents."""
    subjects = properties.texts(_SUBJECT)
    if any(subject.strip() for subject in subjects):
        return subjects
    paths = (path.split(sign) for name, sign in _PATHS.items() for path in properties.texts(name))
    return [part for parts in paths if parts[0] != _INTERNAL for part in reversed(parts)]


def _time(properties: "_Properties", unread: list[str]) -> TakenAt | None:
    for name in _TIMES:
        text = properties.first(name)
        if re.fullmatch(r"\d{4}(-\d\d)?", text.strip(), re.ASCII):
            continue  # a year or a month is no time
        try:
            found = read_time(text)
        except (ValueError, OverflowError):
            unread.append("xmp.taken_at")
            continue
        if found:
            return found
    return None


def _rating(properties: "_Properties", unread: list[str]) -> int | None:
    rating, percent = properties.first(_RATING)[:16], properties.first(_PERCENT)[:16]
    try:
        return stars(float(rating) if rating else None, float(percent) if percent else None)
    except ValueError:
        unread.append("xmp.rating")
        return None


def _place(properties: "_Properties", unread: list[str]) -> GeoPoint | None:
    """`38,42.465N` and `9,8.1955W`: degrees, minutes, and seconds or a fraction."""
    texts = [properties.first(name).strip() for name in (_LATITUDE, _LONGITUDE)]
    if not any(texts):
        return None
    degrees = []
    for text, letters, most in zip(texts, ("NS", "EW"), (90, 180), strict=True):
        found = _ANGLE.fullmatch(text)
        value = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3_600 if found else -1.0
        if found is None or found[4] not in letters or not 0 <= value <= most:
            unread.append("xmp.place")
            return None
        degrees.append(-value if found[4] in "SW" else value)
    return GeoPoint(*degrees) if any(degrees) else None


class _Properties:
    """Collects the wanted properties of the photo: children and attributes of the descriptions right below `rdf:RDF`.

    A property's value is text, or the items of a container. Each item has a language and may have an `rdf:value` of its own.
    """

    def __init__(self) -> None:
        self.has_resource = False
        self._values: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._path: list[str] = []
        self._depth = 0  # of the property that is being read within the path, 0 for none
        self._language = ""
        self._text: list[str] = []

    def texts(self, name: str) -> list[str]:
        """The values of a property, those marked x-default first."""
        values = self._values.get(name, [])
        return [text for language, text in sorted(values, key=lambda value: value[0] != "x-default")]

    def first(self, name: str) -> str:
        return next(filter(None, self.texts(name)), "")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        path = self._path
        path.append(name)
        if self._depth:
            if name == _ITEM:
                self._add(path[self._depth - 1], attributes.get(_LANGUAGE, ""))
        elif name == _RESOURCE and self._resource_depth() == len(path):
            self.has_resource = True
            for attribute in _WANTED & attributes.keys():
                self._text = [attributes[attribute]]
                self._add(attribute)
        elif name in _WANTED and len(path) >= 3 and path[-2] == _RESOURCE and self._resource_depth() == len(path) - 1:
            self._depth = len(path)
            self._language = attributes.get(_LANGUAGE, "").lower()

    def characters(self, text: str) -> None:
        if self._depth and self._is_value():
            self._text.append(text)

    def end(self) -> None:
        name = self._path.pop()
        if not self._depth:
            return
        if len(self._path) < self._depth:
            self._add(name)
            self._depth = 0
        elif name == _ITEM:
            self._add(self._path[self._depth - 1])

    def _resource_depth(self) -> int:
        """The depth of the photo's own descriptions, which are right below the outermost `rdf:RDF`; 0 outside of it."""
        return self._path.index(_ROOT) + 2 if _ROOT in self._path else 0

    def _is_value(self) -> bool:
        """Whether the text is that of the property or of an item, or of its `rdf:value`, and not that of a qualifier."""
        below = self._path[self._depth :]
        if _ITEM in below:
            below = below[len(below) - below[::-1].index(_ITEM) :]
        return below in ([], [_VALUE], [_RESOURCE, _VALUE])

    def _add(self, name: str, language: str = "") -> None:
        """Adds the collected text to the values of a property, unless it is blank. The next text begins, in `language`."""
        text = "".join(self._text)
        if text.strip() and len(self._values[name]) < MAX_CANDIDATES:
            self._values[name].append((self._language, text))
        self._text, self._language = [], language.lower()
