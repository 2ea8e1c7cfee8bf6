"""Walks over the elements of an XMP packet: strictly when it is well-formed XML, leniently otherwise.

A bare `&`, a wrong byte or a missing end tag makes the XML parser refuse the whole packet, although other programs read it. So
such a packet is read by a scanner that accepts any text: it skips junk, closes unclosed elements, and resolves undeclared
prefixes by convention. Neither walk resolves entities; a packet with a document type is refused.

The recovering mode of libxml2 (lxml 6.1) is not used: it drops a bare `&` or `<`, and all texts behind a name with a slash.
"""

import re
from collections.abc import Mapping
from typing import Protocol
from xml.parsers import expat

from miradouro.core.metadata.bounds import MAX_ELEMENTS, MAX_LENIENT_CHARS
from miradouro.core.metadata.xmp_text import unescape

_XML = "http://www.w3.org/XML/1998/namespace"
_CUSTOMARY = {
    "xml": _XML,
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xap": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
}
_STRUCTURE = ("rdf:", "x:", "dc:")
_MARKUP = re.compile(r"<(?=[A-Za-z_/!?])")
_NAME = re.compile(r"""[^\s<>="']{0,256}""")
# A `<` within quotes is a defect; it counts as part of the value where the quotes end as they should.
_ATTRIBUTE = re.compile(
    r"""\s*([^\s<>/="']{1,256})\s*=\s*"""
    r"""(?:"([^"<]*)"|'([^'<]*)'|"([^"]{0,1024})"(?=[\s/>])|'([^']{0,1024})'(?=[\s/>]))"""
)
_JUNK = re.compile(r"""\s*(?!/?>)(?:[^\s<>"']+|["'])""")
_REST = re.compile(r"[^<>]*>?")
_END_TAG = re.compile(r"""</([^\s<>="']{1,256})""")
_SKIPPED = (("<!--", "-->"), ("<?", "?>"))


class Reader(Protocol):
    """Receives the parts of a packet, in order. Names are `URI local`, or `local` without a namespace."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def characters(self, text: str) -> None:
        """Text between tags."""

    def end(self) -> None:
        """The innermost element ends."""


class TooManyElementsError(Exception):
    """The packet has more than MAX_ELEMENTS elements; the first MAX_ELEMENTS were passed to the reader."""


def walk_strictly(packet: str, reader: Reader) -> None:
    """Walks over a packet that is XML. Raises ExpatError, ValueError (a document type), TooManyElementsError."""
    elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if elements > MAX_ELEMENTS:
            raise TooManyElementsError
        reader.start(name, attributes)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: reader.end()
    parser.CharacterDataHandler = reader.characters
    parser.Parse(packet, True)


def _refuse(*_: object) -> None:
    raise ValueError("an XMP packet has no document type")


def walk_leniently(packet: str, reader: Reader) -> None:
    """Walks over the first MAX_LENIENT_CHARS of a packet that is not well-formed XML.

    Raises ValueError (a document type) and TooManyElementsError.
    """
    packet = packet[:MAX_LENIENT_CHARS]
    opened = _OpenElements(reader)
    ends = {found[1]: found.start() for found in _END_TAG.finditer(packet)}  # the last of every name
    unended: set[str] = set()  # end marks that the rest lacks: searching each once keeps the time linear
    at = 0
    for _ in range(MAX_ELEMENTS):
        found = _MARKUP.search(packet, at)
        reader.characters(unescape(packet[at : found.start() if found else len(packet)]))
        if found is None:
            break
        at = found.start()
        if packet.startswith("<!DOCTYPE", at):
            _refuse()
        if packet.startswith("<![CDATA[", at):
            end = -1 if "]]>" in unended else packet.find("]]>", at)
            if end < 0:
                unended.add("]]>")
            reader.characters(packet[at + 9 : max(end, at + 9)])
            at = end + 3 if end >= 0 else at + 9
            continue
        skipped = next((pair for pair in _SKIPPED if packet.startswith(pair[0], at)), None)
        if skipped:
            begin, until = skipped
            end = -1 if until in unended else packet.find(until, at + len(begin))
            if end < 0:
                unended.add(until)
            at = end + len(until) if end >= 0 else _after(packet, at + len(begin))
        elif packet.startswith("<!", at):
            at = _after(packet, at + 2)
        elif packet.startswith("</", at):
            name = _name(packet, at + 2)
            at = _after(packet, at + 2 + len(name))
            opened.end(name)
        else:
            at = _start_tag(packet, at, opened, ends)
    else:
        raise TooManyElementsError
    opened.end_all()


def _name(packet: str, at: int) -> str:
    found = _NAME.match(packet, at)
    return found[0] if found else ""


def _after(packet: str, at: int) -> int:
    """The end of the tag that contains `at`: after its `>`, or before the next `<`."""
    found = _REST.match(packet, at)
    return found.end() if found else at


def _start_tag(packet: str, at: int, opened: "_OpenElements", ends: Mapping[str, int]) -> int:
    """Starts the element whose tag is at `at`, and returns the end of the tag.

    An element without an end tag in the rest of the packet counts as empty. A structural element does not, because the packet
    may be truncated.
    """
    begin = at
    name = _name(packet, at + 1)
    at += 1 + len(name)
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE.match(packet, at) or _JUNK.match(packet, at):
        if found.lastindex:
            attributes.setdefault(found[1], unescape(found[found.lastindex] if found.lastindex > 1 else ""))
        else:
            opened.count()  # junk counts as an element, to bound the work
        at = found.end()
    end = _after(packet, at)
    name = name.rstrip("/")
    opened.start(name, attributes)
    if packet.endswith("/>", 0, end) or (ends.get(name, 0) < begin and not name.startswith(_STRUCTURE)):
        opened.end(name)
    return end


class _OpenElements:
    """The open elements, with the prefixes that they declare."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._names: list[str] = []
        self._counts: dict[str, int] = {}
        self._prefixes: list[dict[str, str]] = [_CUSTOMARY]
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count()
        declared = {key[6:]: uri for key, uri in attributes.items() if key.startswith("xmlns:")}
        if "xmlns" in attributes:
            declared[""] = attributes["xmlns"]
        prefixes = {**self._prefixes[-1], **declared} if declared else self._prefixes[-1]
        self._prefixes.append(prefixes)
        self._names.append(name)
        self._counts[name] = self._counts.get(name, 0) + 1
        resolved = {
            self._resolve(key, prefixes) if ":" in key else key: value
            for key, value in attributes.items()
            if key != "xmlns" and not key.startswith("xmlns:")
        }
        self._reader.start(self._resolve(name, prefixes), resolved)

    def count(self) -> None:
        """Counts one element. Raises TooManyElementsError when there are too many."""
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise TooManyElementsError

    def end(self, name: str) -> None:
        """Ends the innermost element of that name and all elements in it; does nothing when there is none."""
        while self._counts.get(name):
            last = self._names.pop()
            self._prefixes.pop()
            self._counts[last] -= 1
            self._reader.end()
            if last == name:
                return

    def end_all(self) -> None:
        while self._names:
            self.end(self._names[-1])

    def _resolve(self, name: str, prefixes: dict[str, str]) -> str:
        prefix, _, local = name.rpartition(":")
        uri = prefixes.get(prefix, "")
        return f"{uri} {local}" if uri else local
