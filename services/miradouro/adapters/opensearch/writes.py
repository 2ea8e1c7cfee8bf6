"""Bulk requests: whole documents with external versions, in parts of bounded size."""

import collections
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import CLOSED, translated
from miradouro.adapters.opensearch.tuning import Tuning
from miradouro.core.errors import Internal, InvalidArgument, NotFound, Overloaded, Unavailable
from miradouro.core.ports import WriteStatus, Written

# external: only a newer version is stored; external_gte: the same version may be written again.
VersionType = Literal["external", "external_gte"]
_PASSING = {429, 502, 503, 504}
_PIPELINE_FAULTS = {"fail_processor_exception", "class_cast_exception"}  # errors of one document, despite status 500
_NO_PIPELINE = re.compile(
    r"pipeline with id \[.*\] does not exist|Pipeline processor configured for non-existent pipeline \[.*\]", re.DOTALL
)
_LANE_BYTES = 128 * 1024  # minimum of one concurrent request: smaller ones cost more than they save


@dataclass(frozen=True)
class Write:
    """The write of one document to an alias. `body` is its source in JSON, `document_id` is hexadecimal."""

    alias: str
    document_id: str
    version: int
    body: bytes

    def lines(self, version_type: VersionType) -> bytes:
        """The two lines of a bulk request."""
        action = {"_index": self.alias, "_id": self.document_id, "version": self.version, "version_type": version_type}
        return json.dumps({"index": action}).encode() + b"\n" + self.body + b"\n"


class BulkWriter:
    """Sends concurrent bulk requests, because a cluster indexes each of them on one thread. Thread-safe.

    Documents pass through the cluster's ingest `pipeline`; empty for none. Nothing is retried.
    """

    def __init__(self, client: OpenSearch, tuning: Tuning, *, pipeline: str = "") -> None:
        self._client, self._tuning, self._pipeline = client, tuning, pipeline
        self._threads = ThreadPoolExecutor(tuning.bulk_requests, thread_name_prefix="bulk")

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    def write(self, writes: Sequence[Write], *, version_type: VersionType = "external") -> list[Written]:
        """Writes documents; returns one result per write, in order. Writes of the same id are sent in the given order.

        A result is InvalidArgument for a document that the cluster refuses, and Overloaded for one that it has no capacity for.
        Raises Unavailable, or NotFound when the alias is missing; some documents may be stored then.
        """
        lanes = self._lanes(writes)
        results = self._threads.map(lambda lane: self._write_lane([writes[i] for i in lane], version_type), lanes)
        written = dict(zip(itertools.chain(*lanes), itertools.chain(*results), strict=True))
        return [written[i] for i in range(len(writes))]

    def _lanes(self, writes: Sequence[Write]) -> list[list[int]]:
        """Lanes of write numbers. A lane is sent sequentially; all writes of one id share a lane."""
        size_bytes = sum(len(write.body) for write in writes)
        count = max(1, min(self._tuning.bulk_requests, size_bytes // _LANE_BYTES))
        lanes: list[list[int]] = [[] for _ in range(count)]
        for i, write in enumerate(writes):
            lanes[int(write.document_id[:8], 16) % count].append(i)
        return [lane for lane in lanes if lane]

    def _write_lane(self, writes: Sequence[Write], version_type: VersionType) -> list[Written]:
        return [result for part in _parts(writes, self._tuning.bulk_bytes) for result in self._write_part(part, version_type)]

    def _write_part(self, writes: Sequence[Write], version_type: VersionType) -> list[Written]:
        """Sends one bulk request. A request refused for lack of capacity is Overloaded for each of its documents."""
        try:
            items = self._send(writes, version_type)
        except Overloaded as exc:
            return [exc] * len(writes)
        return [_result(items[write.document_id].popleft()) for write in writes]

    def _send(self, writes: Sequence[Write], version_type: VersionType) -> dict[str, collections.deque[dict[str, Any]]]:
        """The items of the response by document id: an ingest pipeline that drops or fails documents changes their order."""
        # Without `require_alias` a bulk request for a missing collection creates an index of that name.
        options: dict[str, Any] = {"refresh": self._tuning.refresh, "require_alias": "true"}
        if self._pipeline:
            options["pipeline"] = self._pipeline
        with translated():
            answer = self._client.bulk(body=b"".join(write.lines(version_type) for write in writes), params=options)
        items: dict[str, collections.deque[dict[str, Any]]] = collections.defaultdict(collections.deque)
        for item in answer["items"]:
            items[item["index"]["_id"]].append(item["index"])
        if any(write.document_id not in items for write in writes):
            raise Internal(
                "OpenSearch answers for other documents than were sent; does MIRADOURO_OPENSEARCH_PIPELINE change _id?"
            )
        return items


def _result(item: dict[str, Any]) -> Written:
    """The result of one item. Raises Unavailable, NotFound or Internal for errors that affect other documents as well."""
    code = item["status"]
    if code in {200, 201}:
        if item.get("result") == "noop":
            return InvalidArgument("document", "the cluster's ingest pipeline drops it; see MIRADOURO_OPENSEARCH_PIPELINE")
        return WriteStatus.STORED
    if code == 409:
        return WriteStatus.STALE
    error = item.get("error", {})
    cause = error.get("caused_by", {}).get("reason", "")
    reason = f"{error.get('type', '')}: {error.get('reason', '')} {cause}".strip()
    if error.get("type") == CLOSED:
        raise Unavailable(f"OpenSearch keeps the index closed: {reason}; open it")
    if error.get("type") == "cluster_block_exception":
        raise Unavailable(f"OpenSearch takes no writes now: {reason}; free its disk")
    if _NO_PIPELINE.fullmatch(error.get("reason", "")):  # affects every document of the request
        raise Unavailable(f"OpenSearch takes no documents: {reason}; see MIRADOURO_OPENSEARCH_PIPELINE")
    if code in _PASSING:
        return Overloaded(f"OpenSearch has no room for a document now: {code} {reason}")
    if code == 400 or error.get("type") in _PIPELINE_FAULTS:
        return InvalidArgument("document", f"OpenSearch does not take it: {reason}")
    if code == 404:
        raise NotFound(f"the collection is gone: {reason}")
    if code >= 500:
        raise Unavailable(f"OpenSearch can't take a document now: {code} {reason}")
    raise Internal(f"OpenSearch answers {code} for a document: {reason}")


def _parts(writes: Sequence[Write], limit_bytes: int) -> Iterator[list[Write]]:
    part: list[Write] = []
    size = 0
    for write in writes:
        if part and size + len(write.body) > limit_bytes:
            yield part
            part, size = [], 0
        part.append(write)
        size += len(write.body)
    if part:
        yield part
