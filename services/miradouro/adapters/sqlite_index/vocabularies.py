"""The vocabularies of collections: read from the database when a collection has changed, and kept."""

import threading
import time

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.tokenizer import TAG_BREAK
from miradouro.core.understood import LONGEST_WORD, MAX_VOCABULARY, Vocabulary

_KEPT = 64  # collections
# A vocabulary stays in use for so many times as long as it took to read, whatever is written: to read a large one takes tenths
# of a second, which no question should spend while photos are being indexed.
_PATIENCE = 20
_QUICK_S = 0.05  # a vocabulary that is read in this time is never stale

# A skip scan: one search in the index for each label, however many photos have it.
_TAGS = """
WITH RECURSIVE labels(label) AS (
    SELECT min(label) FROM tags WHERE collection_id = ?1
    UNION ALL
    SELECT (SELECT min(t.label) FROM tags t WHERE t.collection_id = ?1 AND t.label > labels.label)
    FROM labels WHERE labels.label IS NOT NULL
)
SELECT label FROM labels WHERE label IS NOT NULL LIMIT ?2
"""


class Vocabularies:
    """Reads and keeps vocabularies. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, float, Vocabulary]] = {}  # last change, use until, by collection id
        self._lock = threading.Lock()

    def of(self, connection: apsw.Connection, collection: Collection) -> Vocabulary:
        """The vocabulary of the collection as the connection's transaction sees it, or a short time before."""
        started = time.monotonic()
        with self._lock:
            change, until, kept = self._kept.get(collection.collection_id, (-1, 0.0, Vocabulary()))
        if change == collection.last_change or started < until:
            return kept
        found = _read(connection, collection)
        now = time.monotonic()
        until = now + _PATIENCE * (now - started) if now - started > _QUICK_S else 0.0
        with self._lock:
            self._kept.pop(collection.collection_id, None)
            self._kept[collection.collection_id] = (collection.last_change, until, found)
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return found


def _read(connection: apsw.Connection, collection: Collection) -> Vocabulary:
    labels = connection.execute(_TAGS, (collection.collection_id, MAX_VOCABULARY))
    tags = frozenset(label for (label,) in labels)
    words = connection.execute(
        f"SELECT term, doc FROM vocabulary_{collection.collection_id:d} WHERE term <> ? AND length(term) <= ? "
        "ORDER BY doc DESC, term LIMIT ?",
        (TAG_BREAK, LONGEST_WORD, MAX_VOCABULARY),
    )
    return Vocabulary(tags, dict(words))
