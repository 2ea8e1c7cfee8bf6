"""The vocabularies of collections: counted by the cluster, and kept for some seconds."""

import threading
import time

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.searches import search
from miradouro.core.understood import MAX_VOCABULARY, Vocabulary

_KEPT = 64  # collections


class Vocabularies:
    """Reads and keeps vocabularies, each for `keep_s` seconds. Thread-safe."""

    def __init__(self, client: OpenSearch, *, keep_s: float) -> None:
        self._client, self._keep_s = client, keep_s
        self._kept: dict[str, tuple[float, Vocabulary]] = {}  # use until, by index
        self._lock = threading.Lock()

    def of(self, index: str) -> Vocabulary:
        """The vocabulary of a physical index. Raises Unavailable."""
        now = time.monotonic()
        with self._lock:
            until, kept = self._kept.get(index, (0.0, Vocabulary()))
        if now < until:
            return kept
        found = self._read(index)
        with self._lock:
            self._kept.pop(index, None)
            self._kept[index] = (now + self._keep_s, found)
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return found

    def _read(self, index: str) -> Vocabulary:
        return Vocabulary(frozenset(self._counts(index, "tags")), self._counts(index, "vocabulary"))

    def _counts(self, index: str, field: str) -> dict[str, int]:
        """The photos of each value, the most frequent first. One request for each field: a cluster bounds the buckets of one."""
        terms = {"terms": {"field": field, "size": MAX_VOCABULARY}}
        answer = search(self._client, index, {"size": 0, "track_total_hits": False, "aggs": {"counts": terms}})
        return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["counts"]["buckets"]}
