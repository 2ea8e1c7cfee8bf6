"""Bulk requests: whole documents with versions of their own, in parts of bounded size, refused parts again."""

import collections
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import tenacity
from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import CLOSED, translated
from miradouro.adapters.opensearch.tuning import Tuning
from miradouro.core.errors import Internal, InvalidArgument, NotFound, Overloaded, Unavailable
from miradouro.core.ports import WriteStatus, Written

# external: a version that is not newer is refused; external_gte: the same version may be written again.
VersionType = Literal["external", "external_gte"]
_FIRST_RETRY_S, _LONGEST_PAUSE_S = 0.1, 5.0
_PASSING = {429, 502, 503, 504}
_PIPELINE_FAULTS = {"fail_processor_exception", "class_cast_exception"}  # of a document, told with status 500
_NO_PIPELINE = re.compile(
    r"pipeline with id \[.*\] does not exist|Pipeline processor configured for non-existent pipeline \[.*\]", re.DOTALL
)
_LANE_BYTES = 128 * 1024  # less than two of these are not worth a second request


@dataclass(frozen=True)
class Write:
    """One document for one alias; `body` is its source in JSON. `document_id` is hexadecimal."""

    alias: str
    document_id: str
    version: int
    body: bytes

    def lines(self, version_type: VersionType) -> bytes:
        """The two lines of a bulk request."""
        action = {"_index": self.alias, "_id": self.document_id, "version": self.version, "version_type": version_type}
        return json.dumps({"index": action}).encode() + b"\n" + self.body + b"\n"


class BulkWriter:
    """Sends documents in several bulk requests at a time: a cluster indexes each of them on one thread. Thread-safe.

    Documents go through the cluster's ingest `pipeline`; empty: none.
    """

    def __init__(self, client: OpenSearch, tuning: Tuning, *, pipeline: str = "") -> None:
        self._client, self._tuning, self._pipeline = client, tuning, pipeline
        self._threads = ThreadPoolExecutor(tuning.bulk_requests, thread_name_prefix="bulk")

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    def write(self, writes: Sequence[Write], *, version_type: VersionType = "external") -> list[Written]:
        """What became of each, in order; every write of one id in the order given.

        InvalidArgument stands in the place of a document that the cluster itself refuses. Raises Overloaded or Unavailable when
        the cluster does not take the others within the time of one request, NotFound when the alias is gone: then some may be
        stored.
        """
        lanes = self._lanes(writes)
        told = self._threads.map(lambda lane: self._write_lane([writes[i] for i in lane], version_type), lanes)
        written = dict(zip(itertools.chain(*lanes), itertools.chain(*told), strict=True))
        return [written[i] for i in range(len(writes))]

    def _lanes(self, writes: Sequence[Write]) -> list[list[int]]:
        """Which writes go one after another; those of one id all do."""
        size_bytes = sum(len(write.body) for write in writes)
        count = max(1, min(self._tuning.bulk_requests, size_bytes // _LANE_BYTES))
        lanes: list[list[int]] = [[] for _ in range(count)]
        for i, write in enumerate(writes):
            lanes[int(write.document_id[:8], 16) % count].append(i)
        return [lane for lane in lanes if lane]

    def _write_lane(self, writes: Sequence[Write], version_type: VersionType) -> list[Written]:
        return [result for part in _parts(writes, self._tuning.bulk_bytes) for result in self._write_part(part, version_type)]

    def _write_part(self, writes: Sequence[Write], version_type: VersionType) -> list[Written]:
        """Sends again what the cluster had no room for, after a pause with full jitter, and nothing else."""
        found: dict[int, Written] = {}
        waiting = list(range(len(writes)))
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Overloaded),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_RETRY_S, max=_LONGEST_PAUSE_S),
            stop=tenacity.stop_before_delay(self._tuning.timeout_s),
            reraise=True,
        ):
            with attempt:
                items = self._send([writes[i] for i in waiting], version_type)
                refused = []
                for i in waiting:
                    result = _result(items[writes[i].document_id].popleft())
                    if result is None:
                        refused.append(i)
                    else:
                        found[i] = result
                waiting = refused
                if waiting:
                    raise Overloaded(f"OpenSearch had no room for {len(waiting)} of {len(writes)} documents")
        return [found[i] for i in range(len(writes))]

    def _send(self, writes: Sequence[Write], version_type: VersionType) -> dict[str, collections.deque[dict[str, Any]]]:
        """The items of the answer by document id: their order is lost for those that an ingest pipeline drops or fails for."""
        # A bulk request for a collection that is gone would make an index of its name.
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


def _result(item: dict[str, Any]) -> Written | None:
    """What became of a document; None when it is to be sent again."""
    code = item["status"]
    if code in {200, 201}:
        if item.get("result") == "noop":
            return InvalidArgument("document", "the cluster's ingest pipeline drops it; see MIRADOURO_OPENSEARCH_PIPELINE")
        return WriteStatus.STORED
    if code == 409:
        return WriteStatus.STALE
    error = item.get("error", {})
    cause = error.get("caused_by", {}).get("reason", "")
    told = f"{error.get('type', '')}: {error.get('reason', '')} {cause}".strip()
    if error.get("type") == CLOSED:
        raise Unavailable(f"OpenSearch keeps the index closed: {told}; open it")
    if error.get("type") == "cluster_block_exception":
        raise Unavailable(f"OpenSearch takes no writes now: {told}; free its disk")
    if _NO_PIPELINE.fullmatch(error.get("reason", "")):  # as every document is told: it is no fault of this one
        raise Unavailable(f"OpenSearch takes no documents: {told}; see MIRADOURO_OPENSEARCH_PIPELINE")
    if code in _PASSING:
        return None
    if code == 400 or error.get("type") in _PIPELINE_FAULTS:
        return InvalidArgument("document", f"OpenSearch does not take it: {told}")
    if code == 404:
        raise NotFound(f"the collection is gone: {told}")
    if code >= 500:
        raise Unavailable(f"OpenSearch can't take a document now: {code} {told}")
    raise Internal(f"OpenSearch answers {code} for a document: {told}")


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
