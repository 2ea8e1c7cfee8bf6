"""The pictures themselves: originals from where the index says they are, and thumbnails of them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.document import Document
from miradouro.core.errors import BadPhoto, FailedPrecondition, InvalidArgument, NotFound
from miradouro.core.ports import IndexAdmin, PhotoIndex, PhotoStore
from miradouro.core.sniff import sniff
from miradouro.core.thumbnail import MEDIA_TYPE, thumbnail
from miradouro.query import wire
from miradouro.query.thumbnail_cache import ThumbnailCache

SIZES = (160, 320, 640, 1280)  # longest sides in pixels: few, so that what is kept stays bounded
DEFAULT_SIZE = 320


class SearchableStore(PhotoIndex, IndexAdmin, Protocol):
    """An index that also knows the folders of its collections."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture, its media type by its bytes, and a mark that changes with it."""

    data: bytes
    media_type: str
    mark: str


class Pictures:
    """Reads the photos of `store`: never a path that a caller names, always the URI that was stored.

    `photo_store` makes the store for folders; a collection's photos lie below its own folder or below `roots`.
    """

    def __init__(
        self,
        *,
        store: SearchableStore,
        photo_store: Callable[[Sequence[Path]], PhotoStore],
        roots: Sequence[Path],
        cache: ThumbnailCache,
        limits: DecodeLimits = DEFAULT_LIMITS,
    ) -> None:
        self._store, self._photo_store, self._roots = store, photo_store, list(roots)
        self._cache, self._limits = cache, limits
        self._folders: dict[str, Path] = {}  # a collection's folder never changes

    def find(self, collection: str, photo_id: str) -> Document:
        """What is stored about a photo. Raises InvalidArgument, NotFound."""
        return self._store.get(wire.collection_from(collection), wire.photo_id_from(photo_id, field="photo_id"))

    def original(self, document: Document) -> Picture:
        """The photo as it is now. Raises NotFound (its file is gone), FailedPrecondition (it is out of reach), Unavailable."""
        data = self._read(document)
        found = sniff(data)
        if found is None:
            raise FailedPrecondition(f"{document.uri} is no picture any more; index its folder again")
        return Picture(data, found.value, hashlib.sha256(data).hexdigest())

    def thumbnail(self, document: Document, size: int) -> Picture:
        """The photo as it was indexed, its longer side `size` pixels. Raises as `original` does, and InvalidArgument (size)."""
        mark = thumbnail_mark(document, size)
        return Picture(self._cache.get(document.sha256, size, lambda: self._small(document, size)), MEDIA_TYPE, mark)

    def _small(self, document: Document, size: int) -> bytes:
        data = self._read(document)
        if hashlib.sha256(data).hexdigest() != document.sha256:
            raise FailedPrecondition(f"{document.uri} has changed since it was indexed; index its folder again")
        return thumbnail(data, width=document.width, height=document.height, longest_side=size, limits=self._limits)

    def _read(self, document: Document) -> bytes:
        if not document.uri:
            raise FailedPrecondition(f"photo {document.photo_id!r} came inline and its original was not kept")
        roots = [*self._folder_of(document.collection), *self._roots]
        try:
            return self._photo_store(roots).read(document.uri, limit_bytes=self._limits.max_bytes)
        except BadPhoto as exc:
            raise NotFound(exc.message) from exc
        except InvalidArgument as exc:
            raise FailedPrecondition(exc.message) from exc

    def _folder_of(self, collection: str) -> list[Path]:
        if collection not in self._folders:
            self._folders |= {one.name: Path(one.root) for one in self._store.stats() if one.root}
        return [self._folders[collection]] if collection in self._folders else []


def thumbnail_mark(document: Document, size: int) -> str:
    """What tells the thumbnail of a photo from every other. Raises InvalidArgument (size)."""
    if size not in SIZES:
        raise InvalidArgument("size", f"{size}; allowed: {', '.join(map(str, SIZES))}")
    return f"{document.sha256}-{size}"
