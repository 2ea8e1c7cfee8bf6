"""What the embedded index is measured against: the engines' own calls over the same photos. Imports nothing of Miradouro."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import apsw
import numpy as np
from usearch.index import MetricKind, search


class RawSqlite:
    """Tags, captions and blobs in SQLite through apsw, as plain as it goes; same durability."""

    def __init__(self, folder: Path) -> None:
        self._db = apsw.Connection(str(folder / "peer.db"))
        self._db.pragma("journal_mode", "wal")
        self._db.pragma("synchronous", "full")
        self._db.execute(
            "CREATE TABLE photos(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT);"
            "CREATE TABLE vectors(id INTEGER, data BLOB);"
            "CREATE TABLE tags(label TEXT, id INTEGER, score REAL, PRIMARY KEY(label, id)) WITHOUT ROWID;"
            "CREATE VIRTUAL TABLE words USING fts5(title, caption, tags, content='', tokenize='porter unicode61');"
        )

    def write(self, photos: Iterable[tuple[int, str, str, str, Sequence[tuple[str, float]], Sequence[bytes]]]) -> None:
        """One commit of (id, name, title, caption, tags, blobs)."""
        with self._db:
            for number, name, title, caption, tags, blobs in photos:
                self._db.execute("INSERT INTO photos VALUES (?, ?, ?)", (number, name, caption))
                self._db.executemany("INSERT INTO tags VALUES (?, ?, ?)", [(label, number, score) for label, score in tags])
                self._db.executemany("INSERT INTO vectors VALUES (?, ?)", [(number, blob) for blob in blobs])
                self._db.execute(
                    "INSERT INTO words(rowid, title, caption, tags) VALUES (?, ?, ?, ?)",
                    (number, title, caption, " ".join(label for label, _ in tags)),
                )

    def by_keyword(self, label: str) -> list[tuple[str, float]]:
        """The ten best photos with the tag."""
        return self._db.execute(
            "SELECT name, score FROM tags JOIN photos USING (id) WHERE label = ? ORDER BY score DESC, name LIMIT 10", (label,)
        ).fetchall()

    def by_text(self, words: str) -> list[tuple[str, float]]:
        """The ten best photos by BM25."""
        return self._db.execute(
            "SELECT name, bm25(words) AS score FROM words JOIN photos ON id = words.rowid WHERE words MATCH ? "
            "ORDER BY score, name LIMIT 10",
            (words,),
        ).fetchall()


def nearest(matrix: np.ndarray, asked: np.ndarray) -> list[int]:
    """The ten nearest rows of a float16 matrix, by usearch's exact scan on two threads."""
    return [int(key) for key in search(matrix, asked, 10, MetricKind.L2sq, exact=True, threads=2).keys]
