"""Photos that moved within their folder: the same bytes are stored under a new name, and no file has the old one."""

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
    """Finds where the photos of the folder `root` came from.

    The old id gets its tombstone only after the new one is stored: a crash in between leaves both, and the next run deletes the
    old one as any photo whose file is gone.
    """

    root: str
    index: PhotoIndex

    def moved_from(self, document: Document) -> Document | None:
        """The tombstone of the photo that was moved to become this stored one; None when it did not move."""
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
