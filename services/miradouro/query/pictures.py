"""Originals and thumbnails, as the HTTP door serves them."""

import hashlib
from dataclasses import dataclass

from miradouro.core.document import Document
from miradouro.core.embedding import Priority
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.photo_names import stored_photo_id
from miradouro.core.ports import PhotoIndex, PhotoReader
from miradouro.core.redaction import public_uri
from miradouro.core.sniff import sniff
from miradouro.core.thumbnail import MEDIA_TYPE, digest_of
from miradouro.query import wire
from miradouro.query.originals import Originals
from miradouro.query.thumbnail_cache import ThumbnailCache

SIZES = (160, 320, 640, 1280)  # longest sides in pixels: a small set bounds the cache
DEFAULT_SIZE = 320


@dataclass(frozen=True)
class Picture:
    """An encoded picture, the media type of its bytes, and a mark (ETag) that changes with them."""

    data: bytes
    media_type: str
    mark: str


class Pictures:
    """Pictures of the photos in `index`, read by `originals`; `limits` are the decode limits of indexing."""

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
        """Returns the stored document of a photo. Raises InvalidArgument, NotFound."""
        collection, photo_id = wire.collection_from(collection), wire.photo_id_from(photo_id, field="photo_id")
        return self._index.get(collection, stored_photo_id(self._index, collection, photo_id))

    def original(self, document: Document) -> Picture:
        """Returns the current original. Raises NotFound (its file is gone), FailedPrecondition (out of reach), Unavailable."""
        data = self._originals.read_as_it_is(document)
        found = sniff(data)
        if found is None:
            raise FailedPrecondition(f"{public_uri(document.uri)} is no picture any more; index its folder again")
        return Picture(data, found.value, hashlib.sha256(data).hexdigest())

    def thumbnail(self, document: Document, size: int) -> Picture:
        """Returns the indexed photo, its longer side `size` pixels. Raises as `original` does, and InvalidArgument (size)."""
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
            priority=Priority.BULK,  # a page requests many at once: they queue behind questions
        )


def thumbnail_mark(document: Document, size: int) -> str:
    """Returns the identity of a thumbnail. Raises InvalidArgument (size), Corrupt (the stored SHA-256)."""
    if size not in SIZES:
        raise InvalidArgument("size", f"{size}; allowed: {', '.join(map(str, SIZES))}")
    return f"{digest_of(document.sha256).hex()}-{size}"
