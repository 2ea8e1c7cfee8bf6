"""Keeps the learned keywords of collections: one ONNX file each, which holds its description as metadata."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from miradouro.core.errors import Unavailable
from miradouro.core.keywords import KeywordHead
from miradouro.runtime.whole_file import write_whole

if TYPE_CHECKING:
    from miradouro.bundles.keyword_graph import HeadFacts, Layers

FOLDER = "keywords"  # below a data folder, or below the folder of model files


class KeywordHeads:
    """The learned keywords in a folder, `COLLECTION.onnx` each. Thread-safe.

    Another process may replace or remove a file at any time: a call sees the file as it is then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[str, tuple[tuple[int, int, int], KeywordHead]] = {}  # by collection; with the state of the file

    def find(self, collection: str) -> KeywordHead | None:
        """The learned keywords of a collection, None without any. Raises Corrupt, Unavailable (the file can't be read)."""
        path = self._path(collection)
        try:
            status = path.stat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            with self._lock:
                known = self._open.get(collection)
            if known is not None and known[0] == state:
                return known[1]
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise Unavailable(f"{path}: the learned keywords can't be read: {exc}") from exc
        from miradouro.bundles.keyword_graph import head_of  # here: most processes have no learned keywords, and need no ONNX

        head = head_of(data, name=str(path))
        with self._lock:
            self._open[collection] = (state, head)
        return head

    def all(self) -> list[KeywordHead]:
        """The learned keywords of every collection, by its name. Raises as `find`."""
        names = sorted(path.stem for path in self._folder.glob("*.onnx")) if self._folder.is_dir() else []
        return [head for name in names if (head := self.find(name)) is not None]

    def save(self, facts: "HeadFacts", layers: "Layers") -> KeywordHead:
        """Stores learned keywords in place of earlier ones of the collection, durably and as a whole. Raises Unavailable."""
        from miradouro.bundles.keyword_graph import file_of, head_of

        path = self._path(facts.collection)
        data = file_of(facts, layers)
        try:
            write_whole(path, data, synced=True)
        except OSError as exc:
            raise Unavailable(f"{path}: the learned keywords can't be stored: {exc}; free the disk and learn again") from exc
        return head_of(data, name=str(path))

    def remove(self, collection: str) -> None:
        """Removes the learned keywords of a collection; a collection without any is no error. Raises Unavailable."""
        path = self._path(collection)
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise Unavailable(f"{path}: the learned keywords can't be removed: {exc}") from exc

    def _path(self, collection: str) -> Path:
        return self._folder / f"{collection}.onnx"
