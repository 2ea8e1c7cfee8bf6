"""A whole snapshot with a few photos, of which a fuzzer changes bytes."""

import functools
import tempfile
from pathlib import Path

from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.adapters.sqlite_index.snapshot import take_snapshot

from tests.photo_documents import COLLECTION, SPACES, label, photo

_PHOTOS = 5


@functools.cache
def small_snapshot() -> bytes:
    """Its bytes, made once in each process."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, target = Path(scratch) / "data", Path(scratch) / "snapshot.db"
        with SqliteIndex.open(folder, writer=True) as index:
            index.ensure_collection(COLLECTION, spaces=SPACES)
            index.write([photo(f"{i}.jpg", caption="the harbour", tags=(label("pier", 0.5),)) for i in range(_PHOTOS)])
        take_snapshot(folder, target, progress=lambda *_: None)
        return target.read_bytes()
