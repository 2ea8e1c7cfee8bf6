"""Reads the originals of indexed photos again, from their stored URIs."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from miradouro.core.document import Document
from miradouro.core.error_text import shown
from miradouro.core.errors import BadPhoto, FailedPrecondition, InvalidArgument, NotFound
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.ports import IndexAdmin, PhotoStore
from miradouro.core.redaction import public_uri

_OFFER = "send the photo itself instead (--photo)"


class Originals:
    """Reads originals by their stored URI, never by a path of the caller.

    `photo_store` makes the store for folders; a collection's photos lie below its own folder or below `roots`.
    """

    def __init__(
        self,
        *,
        index: IndexAdmin,
        photo_store: Callable[[Sequence[Path]], PhotoStore],
        roots: Sequence[Path] = (),
        limits: DecodeLimits = DEFAULT_LIMITS,
    ) -> None:
        self._index, self._photo_store, self._roots, self._limits = index, photo_store, list(roots), limits
        self._folders: dict[str, Path] = {}  # a collection's folder never changes

    def read(self, document: Document) -> bytes:
        """Returns the bytes that were indexed.

        Raises FailedPrecondition (kept nowhere, gone, out of reach, changed since), Unavailable.
        """
        try:
            return self.read_unchanged(document)
        except NotFound as exc:
            raise FailedPrecondition(
                f"the original of {shown(document.photo_id)} can't be read: {exc.message}; {_OFFER}"
            ) from exc
        except FailedPrecondition as exc:
            raise FailedPrecondition(f"{exc.message}; {_OFFER}") from exc

    def read_unchanged(self, document: Document) -> bytes:
        """Returns the bytes that were indexed. Raises as `read_as_it_is` does, and FailedPrecondition when they changed."""
        data = self.read_as_it_is(document)
        if hashlib.sha256(data).hexdigest() != document.sha256:
            raise FailedPrecondition(f"{public_uri(document.uri)} has changed since it was indexed; index its folder again")
        return data

    def read_as_it_is(self, document: Document) -> bytes:
        """Returns the current bytes. Raises NotFound (gone), FailedPrecondition (not kept, out of reach), Unavailable."""
        if not document.uri:
            raise FailedPrecondition(f"photo {shown(document.photo_id)} came inline and its original was not kept")
        roots = [*self._folder_of(document.collection), *self._roots]
        try:
            return self._photo_store(roots).read(document.uri, limit_bytes=self._limits.max_bytes)
        except BadPhoto as exc:
            raise NotFound(exc.message) from exc
        except InvalidArgument as exc:
            is_rootless = document.uri.startswith("file:") and not self._folder_of(document.collection)
            advice = f"; if it was restored, confirm its folder: miradouro restore --root {document.collection}=DIR"
            raise FailedPrecondition(
                f"the original of {shown(document.photo_id)} can't be read: {exc.message}{advice if is_rootless else ''}"
            ) from exc

    def _folder_of(self, collection: str) -> list[Path]:
        if collection not in self._folders:
            self._folders |= {one.name: Path(one.root) for one in self._index.stats() if one.root}
        return [self._folders[collection]] if collection in self._folders else []
