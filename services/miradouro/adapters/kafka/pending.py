"""Counts the records that were read and are not acknowledged yet, and derives the offsets to commit from them."""

import collections
import math
import threading
from collections.abc import Collection, Iterable, Mapping

from kafka import TopicPartition

PartitionOffsets = Mapping[TopicPartition, int]


class PendingRecords:
    """Thread-safe. Holds at most `most_records` records and about `most_bytes` bytes of keys and values.

    The offset to commit of a partition is that of its first record that is not acknowledged, whatever the order of the
    acknowledgements: every record before it is settled.
    """

    def __init__(self, *, most_records: int, most_bytes: int) -> None:
        self._most_records, self._most_bytes = most_records, most_bytes
        self._lock = threading.Lock()
        # Partition → offset → size in bytes, in the order of the log. An OrderedDict finds its first key in constant time.
        self._pending: dict[TopicPartition, collections.OrderedDict[int, int]] = {}
        self._revoked: dict[tuple[TopicPartition, int], list[int]] = {}  # sizes of records of partitions that moved away
        self._next: dict[TopicPartition, int] = {}  # the offset after the last record that was read
        self._to_commit: dict[TopicPartition, int] = {}
        self._acknowledged = 0  # since the last `take`
        self._count = self._size_bytes = 0
        self._mean_bytes = 1.0
        self._has_room = threading.Event()

    def __len__(self) -> int:
        """Records that are not acknowledged, those of partitions that moved away included."""
        with self._lock:
            return self._count

    @property
    def acknowledged(self) -> int:
        """Records acknowledged since the last `take`."""
        return self._acknowledged

    def add(self, partition: TopicPartition, records: Iterable[tuple[int, int]]) -> None:
        """Adds records that were read from a partition, in order: offset and size in bytes of each."""
        with self._lock:
            pending = self._pending.setdefault(partition, collections.OrderedDict())
            count = size_bytes = 0
            for offset, size in records:
                pending[offset] = size
                self._next[partition] = offset + 1
                count, size_bytes = count + 1, size_bytes + size
            self._count += count
            self._size_bytes += size_bytes
            self._mean_bytes = max(1.0, size_bytes / count) if count else self._mean_bytes

    def acknowledge(self, partition: TopicPartition, offset: int) -> None:
        """Removes a record; one that is not pending changes nothing.

        A record that was read again, after its partition moved away and came back, is pending twice. The copy that was read first
        is removed first, and commits nothing.
        """
        with self._lock:
            if sizes := self._revoked.get((partition, offset)):
                size = sizes.pop()
                if not sizes:
                    del self._revoked[partition, offset]
            else:
                pending = self._pending.get(partition)
                if pending is None or offset not in pending:
                    return
                size = pending.pop(offset)
                self._acknowledged += 1
                self._to_commit[partition] = next(iter(pending), self._next[partition])
            self._count -= 1
            self._size_bytes -= size
            if 2 * self._count <= self._most_records and not self._has_room.is_set():  # `set` costs ten times as much
                self._has_room.set()

    def room(self) -> int:
        """How many more records may be read, if they are as large as those that were added last."""
        with self._lock:
            records, size_bytes = self._most_records - self._count, self._most_bytes - self._size_bytes
            if records > 0 and size_bytes > 0:
                return min(records, math.ceil(size_bytes / self._mean_bytes))
            self._has_room.clear()
            return 0

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether half of the records are acknowledged within the time."""
        return self._has_room.wait(timeout_s)

    def first_offsets(self) -> dict[TopicPartition, int]:
        """By partition that has any, the offset of the first pending record."""
        with self._lock:
            return {partition: next(iter(pending)) for partition, pending in self._pending.items() if pending}

    def take(self) -> tuple[dict[TopicPartition, int], int]:
        """The offsets to commit that are new since the last call, and the number of records acknowledged since."""
        with self._lock:
            offsets, self._to_commit = self._to_commit, {}
            acknowledged, self._acknowledged = self._acknowledged, 0
            return offsets, acknowledged

    def put_back(self, offsets: PartitionOffsets, acknowledged: int) -> None:
        """Undoes a `take` whose commit failed."""
        with self._lock:
            self._to_commit = {**offsets, **self._to_commit}
            self._acknowledged += acknowledged

    def drop(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Stops committing partitions that move to another consumer; returns their offsets that are not committed yet.

        Their pending records still count until they are acknowledged: they are still in memory.
        """
        with self._lock:
            for partition in partitions:
                for offset, size in self._pending.pop(partition, {}).items():
                    self._revoked.setdefault((partition, offset), []).append(size)
            return {partition: self._to_commit.pop(partition) for partition in partitions if partition in self._to_commit}
