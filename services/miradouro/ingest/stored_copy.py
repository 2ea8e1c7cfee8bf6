"""Finds the stored document of the same bytes, so that its vectors and tags need no forward pass again."""

from contextlib import suppress
from dataclasses import dataclass

from miradouro.core.document import Document
from miradouro.core.errors import NotFound
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import PhotoIndex


@dataclass(frozen=True)
class StoredCopies:
    """Looks in `index`. Vectors are read only when the bytes are the same."""

    index: PhotoIndex

    def find(self, event: PhotoEvent, sha256: str) -> Document | None:
        """The live document of these bytes, with its vectors: the photo's own, or for a folder's photo that of another one.

        Raises Unavailable and Overloaded.
        """
        is_of_folder = event.origin is not None
        with suppress(NotFound):
            is_new = is_of_folder and event.kind is EventKind.UPLOADED
            if not is_new and self.index.get(event.collection, event.photo_id).sha256 == sha256:
                return self.index.get_whole(event.collection, event.photo_id)
        for state in self.index.same_bytes(event.collection, sha256) if is_of_folder else ():
            with suppress(NotFound):  # deleted in between
                return self.index.get_whole(event.collection, state.photo_id)
        return None
