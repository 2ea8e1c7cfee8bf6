"""The findings of an audit of topics from which Kafka removed records."""

from miradouro.core.audited_index import DocumentKey, RawDocument
from miradouro.ingest.audit.ledger import Ledger


def _document(ledger: Ledger, photo_id: str, version: int, *, deleted: bool = False) -> None:
    key = DocumentKey("i", photo_id)
    ledger.add_document(RawDocument(key, photo_id, "c", photo_id, version, deleted, engine_version=version))


def _event(ledger: Ledger, photo_id: str, version: int, *, offset: int) -> None:
    ledger.add_event("c", photo_id, version, partition=0, offset=offset, deleted=False, due=True)


def _names(ledger: Ledger, gaps: dict[int, int]) -> list[tuple[str, str]]:
    ledger.add_partitions({0: 20}, gaps)
    return [(one.name, one.photo_id) for one in ledger.violations({0: 20})]


def test_a_compacted_version_is_not_reported_as_unknown() -> None:
    """The newer version came first in the log, the older one last: compaction keeps the last."""
    for gaps, wanted in (({}, [("document_unknown", "a")]), ({0: 3}, []), ({0: 12}, [("document_unknown", "a")])):
        with Ledger() as ledger:
            _event(ledger, "a", 1, offset=9)
            _document(ledger, "a", 2)
            assert _names(ledger, gaps) == wanted


def test_only_a_tombstone_may_lack_its_event() -> None:
    with Ledger() as ledger:
        _document(ledger, "a", 1)
        _document(ledger, "b", 1, deleted=True)
        assert _names(ledger, {0: 0}) == [("document_unknown", "a")]


def test_a_sample_is_scattered_and_reproducible_by_seed() -> None:
    with Ledger() as ledger:
        for i in range(100):
            _event(ledger, str(i), 1, offset=i)
            _document(ledger, str(i), 1, deleted=i % 10 == 0)
        chosen = [one.photo_id for one in ledger.sample(20, 7)]
        assert chosen == [one.photo_id for one in ledger.sample(20, 7)]
        assert chosen != [one.photo_id for one in ledger.sample(20, 8)]
        assert len(set(chosen)) == 20
        assert not {int(one) % 10 for one in chosen} & {0}
        assert len(list(ledger.sample(1_000, 7))) == 90
