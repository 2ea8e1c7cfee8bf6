"""Which photos pass the conditions of a question, remembered until the next write: a filter is seldom asked only once."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.conditions import row_ids_where
from miradouro.adapters.sqlite_index.rows import numbers_of
from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.core.query import Condition

_Key = tuple[int, int, tuple[Condition, ...]]


class Passing:
    """The answers to the latest conditions, `most_bytes` of them at most; a write to a collection outdates its own. Thread-safe.

    Reading the photos that pass takes time that grows with their number: some 8 ms for 50,000.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[_Key, Int64] = OrderedDict()
        self._lock = threading.Lock()

    def row_ids(self, connection: apsw.Connection, collection: Collection, conditions: Sequence[Condition]) -> Int64:
        """The live photos that pass the conditions: row ids, growing, int64 [n], not to be written to.

        `collection` is as the connection's transaction sees it: its last change tells which answer is still good.
        """
        key = (collection.collection_id, collection.last_change, tuple(conditions))
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        sql, bindings = row_ids_where(collection.collection_id, conditions)
        found = numbers_of(connection, f"SELECT group_concat(row_id) FROM ({sql})", bindings)
        found.flags.writeable = False
        self._remember(key, found)
        return found

    def _remember(self, key: _Key, found: Int64) -> None:
        with self._lock:
            if found.nbytes > self._most_bytes or key in self._known:
                return
            self._known[key] = found
            self._bytes += found.nbytes
            while self._bytes > self._most_bytes:
                _, oldest = self._known.popitem(last=False)
                self._bytes -= oldest.nbytes
