"""The offsets that a consumer may commit."""

from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from miradouro.adapters.kafka.pending import PendingRecords

HERE, THERE = TopicPartition("topic", 0), TopicPartition("topic", 1)


def pending() -> PendingRecords:
    return PendingRecords(most_records=100, most_bytes=1_000_000)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_everything_before_a_committed_offset_is_acknowledged(present, random):
    offsets = [offset for offset, is_there in enumerate(present) if is_there]  # compaction leaves gaps
    records, committed, done = pending(), 0, set()
    records.add(HERE, [(offset, 10) for offset in offsets])
    for offset in random.sample(offsets, len(offsets)):
        records.acknowledge(HERE, offset)
        done.add(offset)
        committed = records.take()[0].get(HERE, committed)
        assert {one for one in offsets if one < committed} <= done
        assert committed > max((one for one in offsets if set(range(one + 1)) & set(offsets) <= done), default=-1)
    assert len(records) == 0


def test_a_moved_partition_commits_nothing_but_counts_records():
    records = pending()
    records.add(HERE, [(0, 10), (1, 10)])
    records.add(THERE, [(0, 10)])
    records.acknowledge(HERE, 0)

    assert records.drop({HERE}) == {HERE: 1}
    records.acknowledge(HERE, 1)
    assert len(records) == 1
    assert records.take() == ({}, 1)


def test_a_record_read_twice_commits_with_the_second():
    records = pending()
    records.add(HERE, [(0, 10), (1, 10)])
    records.drop({HERE})
    records.add(HERE, [(0, 10), (1, 10)])
    records.acknowledge(HERE, 0)
    assert records.take()[0] == {}
    records.acknowledge(HERE, 0)
    assert records.take()[0] == {HERE: 1}
    assert len(records) == 2


def test_a_failed_commit_is_made_up_for():
    records = pending()
    records.add(HERE, [(0, 10), (1, 10)])
    records.acknowledge(HERE, 0)
    records.put_back(*records.take())
    assert records.acknowledged == 1
    assert records.take()[0] == {HERE: 1}
