"""The pictures themselves, as doors serve them: originals, and thumbnails of them."""

import hashlib
from dataclasses import dataclass

from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.document import Document
from miradouro.core.embedding import Priority
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.ports import PhotoIndex, PhotoReader
from miradouro.core.redaction import public_uri
from miradouro.core.sniff import sniff
from miradouro.core.thumbnail import MEDIA_TYPE, digest_of
from miradouro.query import wire
from miradouro.query.originals import Originals
from miradouro.query.thumbnail_cache import ThumbnailCache

SIZES = (160, 320, 640, 1280)  # longest sides in pixels: few, so that what is kept stays bounded
DEFAULT_SIZE = 320


@dataclass(frozen=True)
class Picture:
    """An encoded picture, its media type by its bytes, and a mark that changes with it."""

    data: bytes
    media_type: str
    mark: str


class Pictures:
    """The photos of `index`, read by `originals`; `limits` are those that they were indexed with."""

    def __init__(
        self,
        *,
        index: PhotoIndex,
        originals: Originals,
        reader: PhotoReader,
        cache: ThumbnailCache,
        limits: DecodeLimits = DEFAULT_LIMITS,
    ) -> None:
        self._index, self._originals, self._reader, self._cache, self._limits = index, originals, reader, cache, limits

    def find(self, collection: str, photo_id: str) -> Document:
        """What is stored about a photo. Raises InvalidArgument, NotFound."""
        return self._index.get(wire.collection_from(collection), wire.photo_id_from(photo_id, field="photo_id"))

    def original(self, document: Document) -> Picture:
        """The photo as it is now. Raises NotFound (its file is gone), FailedPrecondition (it is out of reach), Unavailable."""
        data = self._originals.read_as_it_is(document)
        found = sniff(data)
        if found is None:
            raise FailedPrecondition(f"{public_uri(document.uri)} is no picture any more; index its folder again")
        return Picture(data, found.value, hashlib.sha256(data).hexdigest())

    def thumbnail(self, document: Document, size: int) -> Picture:
        """The photo as it was indexed, its longer side `size` pixels. Raises as `original` does, and InvalidArgument (size)."""
        mark = thumbnail_mark(document, size)
        return Picture(self._cache.get(document.sha256, size, lambda: self._small(document, size)), MEDIA_TYPE, mark)

    def _small(self, document: Document, size: int) -> bytes:
        data = self._originals.read_unchanged(document)
        return self._reader.thumbnail(
            data,
            width=document.width,
            height=document.height,
            longest_side=size,
            limits=self._limits,
            priority=Priority.BULK,  # a page asks for many at once: they queue, where a person's question is refused or first
        )


def thumbnail_mark(document: Document, size: int) -> str:
    """What tells the thumbnail of a photo from every other. Raises InvalidArgument (size), Corrupt (the stored SHA-256)."""
    if size not in SIZES:
        raise InvalidArgument("size", f"{size}; allowed: {', '.join(map(str, SIZES))}")
    return f"{digest_of(document.sha256).hex()}-{size}"
