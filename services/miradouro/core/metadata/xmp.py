"""XMP (ISO 16684-1): title, description and subject of the Dublin Core schema."""

import codecs
from collections import defaultdict
from xml.parsers import expat

from miradouro.core.metadata.bounds import MAX_ELEMENTS
from miradouro.core.metadata.photo_metadata import PhotoMetadata, bounded

_DC, _RDF = "http://purl.org/dc/elements/1.1/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_CONTAINERS = frozenset(f"{_RDF} {name}" for name in ("Alt", "Bag", "Seq"))
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ITEM = f"{_RDF} li"


def read_xmp(block: bytes) -> PhotoMetadata:
    """Title, caption and tags of the XMP packet `block`; an empty one says nothing, one that is no XML is named in `unread`.

    Of a text in several languages the one marked x-default counts, else the first. A packet with a document type is
    refused: entities could make it grow without end, and XMP has none.
    """
    reader = _Reader()
    packet = block if block.startswith(_UTF16) else block.strip(b"\0 \t\r\n")  # some writers pad with zeros
    if not packet:
        return PhotoMetadata()
    try:
        reader.parser.Parse(packet, True)
    except (expat.ExpatError, ValueError, LookupError):
        return PhotoMetadata(unread=("xmp",))
    return bounded(
        title=reader.default("title"),
        caption=reader.default("description"),
        tags=[text for _, text in reader.items[f"{_DC} subject"]],
    )


class _Reader:
    """Gathers the items of every property, each with its language, while the parser walks over the packet."""

    def __init__(self) -> None:
        self.items: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._path: list[str] = []
        self._elements = 0
        self._language = ""
        self._text: list[str] | None = None  # of the item that is being read
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def default(self, name: str) -> str:
        items = self.items[f"{_DC} {name}"]
        return next((text for language, text in items if language == "x-default" and text.strip()), items[0][1] if items else "")

    def _refuse(self, *_: object) -> None:
        raise ValueError("an XMP packet has no document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_ELEMENTS:,} elements")
        if name == _ITEM and len(self._path) > 2 and self._path[-2] in _CONTAINERS:
            self._language = attributes.get(_LANGUAGE, "").lower()
            self._text = []

    def _characters(self, text: str) -> None:
        if self._text is not None and self._path[-1] == _ITEM:
            self._text.append(text)

    def _end(self, name: str) -> None:
        if name == _ITEM and self._text is not None:
            self.items[self._path[-3]].append((self._language, "".join(self._text)))
            self._text = None
        self._path.pop()
