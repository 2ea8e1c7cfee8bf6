"""Photos that moved within their folder: the same bytes under a new name, and no file under the old one."""

from collections.abc import Callable
from dataclasses import dataclass

from miradouro.adapters.folder.deletions import is_gone
from miradouro.core.document import Document
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.pipeline import tombstone
from miradouro.core.ports import PhotoIndex

MovedFrom = Callable[[Document], Document | None]


@dataclass(frozen=True)
class Moves:
    """Finds the former ids of moved photos in the folder `root`.

    The old id gets its tombstone after the new one is stored. A crash in between leaves both; the next run deletes the old one
    because its file is missing.
    """

    root: str
    index: PhotoIndex

    def moved_from(self, document: Document) -> Document | None:
        """The tombstone of this stored photo's former id; None when it did not move."""
        copies = [
            state
            for state in self.index.same_bytes(document.collection, document.sha256)
            if state.origin is not None and state.photo_id != document.photo_id and is_gone(self.root, state.photo_id)
        ]
        if not copies:
            return None
        old = copies[0]
        event_id = f"moved to {document.photo_id}"
        return tombstone(PhotoEvent(event_id, EventKind.DELETED, document.collection, old.photo_id, old.version + 1))
