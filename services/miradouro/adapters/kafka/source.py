"""Photo events from a topic, as a member of a consumer group.

One thread only polls: it hands records over while there is room, pauses its partitions while there is none, and commits
acknowledged offsets. So a consumer that waits for the index keeps its membership.
"""

import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import structlog
from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CommitFailedError, KafkaError
from kafka.structs import MemberState

from miradouro.adapters.kafka.client_internals import is_group_stable, rejoin_if_rebalancing
from miradouro.adapters.kafka.intake import INTAKE, Intake
from miradouro.adapters.kafka.pending import PendingRecords
from miradouro.adapters.kafka.polling import poll
from miradouro.adapters.kafka.settings import KafkaSettings
from miradouro.adapters.kafka.topics import translated
from miradouro.core.errors import Corrupt, Unavailable
from miradouro.core.event import PhotoEvent
from miradouro.core.ports import NothingYet, Refused, SourceItem
from miradouro.core.source_record import SourceRecord

_POLL_S = 0.1
_POLL_RECORDS = 500
_IDLE_S = 0.05
_RETRY_S = 1.0
_ANSWER_WITHIN_MS = 5_000  # of a commit, and of leaving the group

_log = structlog.get_logger(__name__)
_Listener = Callable[[frozenset[TopicPartition]], Awaitable[None]]


class KafkaSource:
    """EventSource over a topic. `decode` turns a record into an item that carries the record, and never raises.

    `events` yields items in the order of the log, per partition. An offset is committed only after every item before it was
    acknowledged. `close` ends `events` after the records that were read.
    """

    def __init__(self, settings: KafkaSettings, decode: Callable[[SourceRecord], SourceItem], *, intake: Intake = INTAKE) -> None:
        self._intake, self._decode = intake, decode
        with translated():
            self._consumer = KafkaConsumer(
                **settings.connection,
                group_id=settings.kafka_group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=int(intake.session_timeout_s * 1_000),
                heartbeat_interval_ms=int(intake.session_timeout_s * 1_000 / 4),
                max_poll_records=_POLL_RECORDS,
                # A record that is larger than this still comes, alone.
                max_partition_fetch_bytes=2 * 1024 * 1024,
                fetch_max_bytes=16 * 1024 * 1024,
                check_crcs=True,
            )
        # Whole batches: a hand-off of one costs as much as a hand-off of one record.
        self._waiting: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._pending = PendingRecords(most_records=intake.pending_events, most_bytes=intake.pending_bytes)
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._has_joined = False
        self._stopping, self._drained = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._lag: Mapping[int, int] = {}
        self._last_commit = 0.0
        self._thread = threading.Thread(target=self._run, name="kafka poll", daemon=True)
        self._consumer.subscribe([settings.kafka_topic], listener=_Rebalance(self._revoke, self._lose, self._assign))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        self.leave()

    @property
    def has_joined(self) -> bool:
        """Whether this consumer polls as a member of the group, after an assignment; that may have no partitions."""
        return self._has_joined and self._error is None and self._thread.is_alive()

    @property
    def partitions(self) -> frozenset[int]:
        """The assigned partitions; none where the group has more members than partitions."""
        return frozenset(one.partition for one in self._assigned)

    @property
    def pending(self) -> int:
        """Events read and not acknowledged."""
        return len(self._pending)

    @property
    def lag(self) -> Mapping[int, int]:
        """By assigned partition, the number of records after the last acknowledged one, as of the last poll."""
        return self._lag

    def events(self) -> Iterator[SourceItem | NothingYet]:
        """Items as they arrive, until `close`.

        Raises, after all items before it, Corrupt (an unreadable batch of records) and Unavailable (polling ended for good).
        """
        while True:
            try:
                records = self._waiting.get(timeout=_IDLE_S)
            except queue.Empty:
                if self._error is not None and self._waiting.empty():
                    yield NothingYet()  # lets the caller store what was read, before the error ends the run
                    if isinstance(self._error, Corrupt):
                        raise Corrupt(self._error.message) from self._error
                    raise Unavailable(f"polling Kafka ended: {self._error!r}") from self._error
                if self._stopping.is_set():
                    return
                yield NothingYet()
                continue
            for one in records:
                headers = tuple(one.headers or ())
                yield self._decode(SourceRecord(one.topic, one.partition, one.offset, one.key, one.value, headers))

    def acknowledge(self, item: SourceItem) -> None:
        """See `EventSource.acknowledge`. The poll thread commits the offset later. Raises ValueError: an item without record."""
        record = item.record if isinstance(item, PhotoEvent | Refused) else None
        if record is None:
            raise ValueError(f"this item has no record of a topic: {item!r:.200}")
        self._pending.acknowledge(TopicPartition(record.topic, record.partition), record.offset)

    def close(self) -> None:
        """Stops reading; `events` ends after the records that were read. Safe to call twice."""
        self._stopping.set()

    def leave(self) -> None:
        """Commits acknowledged offsets and leaves the group."""
        self._stopping.set()
        self._drained.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._drained.is_set():
                try:
                    self._poll()
                except KafkaError as exc:
                    # The client reconnects by itself, with growing pauses.
                    _log.warning("Kafka does not answer; trying again", error=str(exc) or type(exc).__name__)
                    self._drained.wait(_RETRY_S)
                except Corrupt as exc:
                    self._error = exc
                    self._drained.wait()
            self._commit_last()
        except Exception as exc:  # noqa: BLE001 - `events` raises it
            self._error = exc
            _log.exception("polling Kafka ended")
        finally:
            self._consumer.close(autocommit=False, timeout_ms=_ANSWER_WITHIN_MS)

    def _poll(self) -> None:
        self._commit_when_due()  # first: the records read below add to the uncommitted ones
        room = self._pending.room()
        if room == 0 and not self._stopping.is_set() and self._pending.wait_for_room(_POLL_S):
            return
        rejoin_if_rebalancing(self._consumer)
        assignment = self._consumer.assignment()
        if room == 0 or self._stopping.is_set():
            self._consumer.pause(*assignment)
        else:
            self._consumer.resume(*assignment)
        most = max(1, min(room, _POLL_RECORDS))
        found = poll(self._consumer, timeout_ms=_POLL_S * 1_000 if room else 0, max_records=most)
        self._note_membership()
        self._hand_over(found)

    def _note_membership(self) -> None:
        """Keeps `has_joined`: the listener is not called for an assignment without partitions."""
        member = self._consumer.group_metadata()
        if member.generation_id < 0:
            self._has_joined = False
        elif member.state is MemberState.STABLE:
            self._has_joined = True  # and stays true while the group moves partitions

    def _hand_over(self, found: Mapping[TopicPartition, list[Any]]) -> None:
        read = [record for records in found.values() for record in records]
        if not read:
            return
        for partition, records in found.items():
            self._pending.add(partition, [(one.offset, len(one.key or b"") + len(one.value or b"")) for one in records])
        self._waiting.put(read)

    def _commit_when_due(self) -> None:
        """Commits after an interval, or after a number of events.

        The number bounds redelivery: after a crash at most `Intake.pending_events` events per assigned partition come again, and
        twice as many of an only partition, since its pending events may be stored too.
        """
        now = time.monotonic()
        is_time = now - self._last_commit >= self._intake.commit_interval_s
        most = self._intake.pending_events * max(1, len(self._assigned) - 1)
        if is_time or self._pending.acknowledged >= most:
            self._last_commit = now
            self._commit()
            self._lag = self._lags()

    def _commit(self) -> None:
        """Commits the acknowledged offsets; during a rebalance no commit is possible, and they wait for the next call."""
        if not is_group_stable(self._consumer):
            return
        offsets, acknowledged = self._pending.take()
        if not offsets:
            return
        try:
            self._consumer.commit(_committed(offsets), timeout_ms=_ANSWER_WITHIN_MS)
        except CommitFailedError as exc:
            # The group rebalanced without this consumer; on rejoining, `_lose` drops the partitions that it lost.
            self._pending.put_back(offsets, acknowledged)
            _log.warning("a commit was refused", error=str(exc))
        except BaseException:
            self._pending.put_back(offsets, acknowledged)
            raise

    def _commit_last(self) -> None:
        """Tries once: a stop must not wait for an unreachable Kafka."""
        try:
            self._commit()
        except KafkaError as exc:
            _log.warning("the last commit was refused; its events will be redelivered", error=str(exc) or type(exc).__name__)
            self._pending.take()

    def _lags(self) -> dict[int, int]:
        lags = {}
        first = self._pending.first_offsets()
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            position = first.get(partition, self._consumer.position(partition, timeout_ms=0) if end is not None else None)
            if end is not None and position is not None:
                lags[partition.partition] = max(0, end - position)
        return lags

    async def _revoke(self, partitions: frozenset[TopicPartition]) -> None:
        """Commits a last time for partitions that move; the synchronous `commit` would block the client's own thread here."""
        self._assigned -= partitions
        if offsets := self._pending.drop(partitions):
            try:
                await self._consumer.commit_async(_committed(offsets))
            except KafkaError as exc:
                _log.warning("the last commit was refused; its events will be redelivered", error=str(exc) or type(exc).__name__)
        _log.info("partitions revoked", partitions=sorted(one.partition for one in partitions))

    async def _lose(self, partitions: frozenset[TopicPartition]) -> None:
        self._assigned -= partitions
        self._pending.drop(partitions)
        _log.warning("partitions lost", partitions=sorted(one.partition for one in partitions))

    async def _assign(self, partitions: frozenset[TopicPartition]) -> None:
        self._assigned |= partitions
        _log.info("partitions assigned", partitions=sorted(one.partition for one in partitions))


class _Rebalance(AsyncConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    """Calls `revoked` with partitions before they move, `lost` after they moved, `assigned` with new ones. Called inside `poll`.

    The client calls from its I/O thread: a listener that blocks there deadlocks.
    """

    def __init__(self, revoked: _Listener, lost: _Listener, assigned: _Listener) -> None:
        self._revoked, self._lost, self._assigned = revoked, lost, assigned

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._revoked(frozenset(revoked))

    async def on_partitions_lost(self, lost: Any) -> None:
        await self._lost(frozenset(lost))

    async def on_partitions_assigned(self, assigned: Any) -> None:
        await self._assigned(frozenset(assigned))


def _committed(done: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in done.items()}
