"""Photo events from a topic, as a member of a consumer group.

One thread polls, whatever else is slow: it hands records over while there is room, pauses its partitions while there is none,
and commits what was acknowledged. So a group never loses a member that waits for an index.
"""

import collections
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CommitFailedError, KafkaError

from miradouro.adapters.kafka.settings import KafkaSettings
from miradouro.adapters.kafka.topics import translated
from miradouro.core.errors import Unavailable
from miradouro.core.event import SourceRecord
from miradouro.core.ports import NothingYet, SourceItem

_POLL_MS = 100
_IDLE_S = 0.05
_RETRY_S = 1.0

_log = structlog.get_logger(__name__)
_Note = Callable[[frozenset[TopicPartition]], None]


@dataclass(frozen=True)
class _Pending:
    """A record that was handed over, or waits to be."""

    partition: TopicPartition
    offset: int
    size_bytes: int


class KafkaSource:
    """EventSource over a topic. `decode` turns a record into an item and never raises.

    `events` gives items in the order of the log, per partition; `acknowledge` is to be called once for each, in the same order,
    when it is stored or a dead letter: then, and not before, its offset is committed. `close` ends `events` after what was read.
    """

    def __init__(self, settings: KafkaSettings, decode: Callable[[SourceRecord], SourceItem]) -> None:
        self._settings, self._decode = settings, decode
        with translated():
            self._consumer = KafkaConsumer(
                **settings.connection,
                group_id=settings.kafka_group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                max_poll_records=min(500, settings.kafka_pending_events),
                # A record that is larger than this still comes, alone.
                max_partition_fetch_bytes=2 * 1024 * 1024,
                fetch_max_bytes=16 * 1024 * 1024,
                check_crcs=True,
            )
        self._waiting: queue.SimpleQueue[tuple[_Pending, SourceRecord]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending: collections.deque[_Pending] = collections.deque()
        self._pending_bytes = 0
        self._done: dict[TopicPartition, int] = {}  # the offset to go on from
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._stopping, self._drained = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._lag: Mapping[int, int] = {}
        self._last_commit = 0.0
        self._thread = threading.Thread(target=self._run, name="kafka poll", daemon=True)
        self._consumer.subscribe([settings.kafka_topic], listener=_Rebalance(self._revoke, self._assign))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        self.leave()

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given us partitions, and polling goes on."""
        return bool(self._assigned) and self._thread.is_alive()

    @property
    def pending(self) -> int:
        """Events that were read and are not acknowledged."""
        with self._lock:
            return len(self._pending)

    @property
    def lag(self) -> Mapping[int, int]:
        """By partition of ours, how many records come after the last one that was acknowledged; as of the last poll."""
        return self._lag

    def events(self) -> Iterator[SourceItem | NothingYet]:
        """Items as they come, until `close`. Raises Unavailable when polling ended for good."""
        while True:
            try:
                _, record = self._waiting.get(timeout=_IDLE_S)
            except queue.Empty:
                if self._error is not None:
                    raise Unavailable(f"polling Kafka ended: {self._error!r}") from self._error
                if self._stopping.is_set():
                    return
                yield NothingYet()
                continue
            yield self._decode(record)

    def acknowledge(self) -> None:
        """The oldest event that is not acknowledged is stored, or a dead letter."""
        with self._lock:
            done = self._pending.popleft()
            self._pending_bytes -= done.size_bytes
            self._done[done.partition] = done.offset + 1

    def close(self) -> None:
        """Reads no more; `events` ends after what was read. Safe to call twice."""
        self._stopping.set()

    def leave(self) -> None:
        """Commits what was acknowledged and leaves the group."""
        self._stopping.set()
        self._drained.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._drained.is_set():
                try:
                    self._poll()
                except KafkaError as exc:
                    # The client connects again by itself, with pauses that grow.
                    _log.warning("Kafka does not answer; trying again", error=str(exc) or type(exc).__name__)
                    self._drained.wait(_RETRY_S)
            self._commit()
        except Exception as exc:  # noqa: BLE001 - told by `events`
            self._error = exc
            _log.exception("polling Kafka ended")
        finally:
            self._consumer.close(autocommit=False)

    def _poll(self) -> None:
        assignment = self._consumer.assignment()
        if self._stopping.is_set() or self._is_full():
            self._consumer.pause(*assignment)
        else:
            self._consumer.resume(*assignment)
        found: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=_POLL_MS)
        for partition, records in found.items():
            for record in records:
                self._hand_over(partition, record)
        self._commit_when_due()

    def _hand_over(self, partition: TopicPartition, record: Any) -> None:
        read = SourceRecord(record.topic, record.partition, record.offset, record.key, record.value, tuple(record.headers or ()))
        pending = _Pending(partition, record.offset, len(record.key or b"") + len(record.value or b""))
        with self._lock:
            self._pending.append(pending)
            self._pending_bytes += pending.size_bytes
        self._waiting.put((pending, read))

    def _is_full(self) -> bool:
        with self._lock:
            return (
                len(self._pending) >= self._settings.kafka_pending_events
                or self._pending_bytes >= self._settings.kafka_pending_bytes
            )

    def _commit_when_due(self) -> None:
        now = time.monotonic()
        if now - self._last_commit >= self._settings.kafka_commit_interval_s:
            self._last_commit = now
            self._commit()
            self._lag = self._lags()

    def _commit(self) -> None:
        """Commits what is done of our partitions; one that was taken from us is somebody else's to commit."""
        with self._lock:
            done, self._done = self._done, {}
        ours = {partition: offset for partition, offset in done.items() if partition in self._consumer.assignment()}
        if not ours:
            return
        try:
            self._consumer.commit({partition: OffsetAndMetadata(offset, "", -1) for partition, offset in ours.items()})
        except CommitFailedError as exc:
            # The group went on without us: what was not committed comes again, and is stale.
            _log.warning("a commit was refused", error=str(exc))
        except KafkaError:
            with self._lock:
                self._done = {**done, **self._done}
            raise

    def _lags(self) -> dict[int, int]:
        lags = {}
        with self._lock:
            oldest: dict[TopicPartition, int] = {}
            for pending in self._pending:
                oldest.setdefault(pending.partition, pending.offset)
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            position = oldest.get(partition, self._consumer.position(partition, timeout_ms=0) if end is not None else None)
            if end is not None and position is not None:
                lags[partition.partition] = max(0, end - position)
        return lags

    def _revoke(self, partitions: frozenset[TopicPartition]) -> None:
        self._commit()
        self._assigned -= partitions
        _log.info("partitions revoked", partitions=sorted(one.partition for one in partitions))

    def _assign(self, partitions: frozenset[TopicPartition]) -> None:
        self._assigned |= partitions
        _log.info("partitions assigned", partitions=sorted(one.partition for one in partitions))


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    """Calls with the partitions that go, before they go, and with those that come. Called inside `poll`."""

    def __init__(self, revoked: _Note, assigned: _Note) -> None:
        self._revoked, self._assigned = revoked, assigned

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._revoked(frozenset(revoked))

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._assigned(frozenset(assigned))
