"""The vector index of one space: a folder of segments, derived from a changelog.

Segments only make answers fast: what they lack is read from the changelog. So a failure here loses nothing.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.changelog import Changelog, SegmentInfo, Transactions
from miradouro.adapters.sqlite_index.vectors.growing import GrowingSegment
from miradouro.adapters.sqlite_index.vectors.merging import Merger
from miradouro.adapters.sqlite_index.vectors.open_segments import Coverage, OpenSegments, Segment
from miradouro.adapters.sqlite_index.vectors.query_vector import query_vector
from miradouro.adapters.sqlite_index.vectors.rewrite import Rewriter
from miradouro.adapters.sqlite_index.vectors.sealing import Sealer
from miradouro.adapters.sqlite_index.vectors.search import VectorSearch
from miradouro.adapters.sqlite_index.vectors.searcher import Searcher, SegmentReader
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, paths
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning
from miradouro.core.document import Vectors


@dataclass(frozen=True)
class Opened:
    """Segments that were mapped while the list of segments was `infos`."""

    infos: tuple[SegmentInfo, ...] = ()
    segments: tuple[Segment, ...] = ()

    def is_current(self, changelog: Changelog) -> bool:
        """Whether the changelog's transaction sees the same list."""
        return tuple(changelog.segments()) == self.infos


class VectorIndex:
    """Adds, searches, seals and merges. Thread-safe; one process writes, any number search.

    A searcher takes 8 bytes of memory per photo, and a ninth where photos of the segment were replaced.
    """

    def __init__(self, folder: Path, number: int, identity: Identity, transactions: Transactions, tuning: Tuning) -> None:
        """`number` names the space within the folder, which is that of all spaces and exists when `seal` returns."""
        name = f"building-{number}"
        self._folder = folder
        self._identity = identity
        self._transactions = transactions
        self._open = OpenSegments(folder, identity)
        self._growing = GrowingSegment(folder, identity)
        rewriter = Rewriter(folder, name, identity, transactions, tuning)
        self._sealer = Sealer(folder, name, identity, transactions, tuning, self._growing, rewriter)
        self._merger = Merger(folder, identity, transactions, tuning, rewriter)
        self._latest: Searcher | None = None
        self._lock = threading.Lock()

    def add(self) -> None:
        """Appends what was committed since to the growing segment, some megabytes at most.

        Raises Unusable (`seal` has to rebuild the files), Unavailable, Corrupt, OSError.
        """
        with self._growing.lock, self._transactions.reading() as changelog:
            self._growing.append(changelog)

    def open(self, infos: Sequence[SegmentInfo]) -> Opened:
        """Maps the segments of the list. Call it before the transaction of a search begins.

        Appends follow commits: files that were mapped earlier hold no change that the transaction does not see. Files mapped
        later may lack a photo, because it was replaced after the transaction began.
        """
        return Opened(tuple(infos), tuple(self._open.refresh(infos)))

    def searcher(self, changelog: Changelog, opened: Opened) -> Searcher:
        """A searcher over the transaction's state; `opened` is current, or empty: then everything is read from the changelog."""
        last_change = changelog.last_change()
        coverage = Coverage.of(opened.segments, last_change)
        latest = self._latest
        if (
            latest is not None
            and (latest.last_change, latest.infos, latest.gaps) == (last_change, opened.infos, coverage.gaps)
            and [reader.segment for reader in latest.segments] == list(coverage.segments)
        ):
            return latest
        superseded = changelog.superseded()
        readers = tuple(SegmentReader.of(segment, superseded) for segment in coverage.segments)
        searcher = Searcher(self._identity, last_change, opened.infos, changelog.photos(), readers, coverage.gaps)
        with self._lock:
            self._latest = searcher
        return searcher

    def search(self, changelog: Changelog, searcher: Searcher, vector: Vectors, allowed: Int64 | None) -> VectorSearch:
        """A search for the neighbours of `vector`, [d] in the form of the storage, among the photos `allowed`, ascending row ids.

        `changelog` sees the state of the searcher. Raises InvalidArgument for a vector of another dimension or length.
        """
        return VectorSearch(changelog, searcher, query_vector(vector, self._identity), allowed)

    def seal(self, check_cancelled: Callable[[], None]) -> bool:
        """Does the first thing that is due to the growing segment and to closed ones. Returns whether more may be due.

        Calls `check_cancelled` about every 10 ms, and passes on what it raises. Raises Unavailable, Corrupt, OSError.
        """
        self._folder.mkdir(exist_ok=True)  # the folder may be deleted at any time: its files are derived
        return self._sealer.seal(check_cancelled)

    def merge(self, check_cancelled: Callable[[], None]) -> bool:
        """Merges small segments, and writes lost and stale ones anew, one at a time: otherwise like `seal`."""
        return self._merger.merge(check_cancelled)

    def close(self) -> None:
        """Releases the maps. Searches that run keep theirs."""
        with self._lock:
            self._latest = None
        self._open.close()


def remove_other_files(folder: Path, segment_ids: Iterable[int]) -> None:
    """Removes the files that belong to none of the segments of any space: a stopped process left them. Raises OSError."""
    folder.mkdir(exist_ok=True)
    known = {path for segment_id in segment_ids for path in paths(folder, segment_id)}
    for path in folder.iterdir():
        if path not in known:
            path.unlink()
