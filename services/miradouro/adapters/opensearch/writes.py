"""Bulk requests: whole documents with versions of their own, in parts of bounded size, refused parts again."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tenacity
from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import translated
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.core.errors import Internal, InvalidArgument, Overloaded, Unavailable
from miradouro.core.ports import WriteStatus

# external: a version that is not newer is refused; external_gte: the same version may be written again.
VersionType = Literal["external", "external_gte"]
_ATTEMPTS = 6
_FIRST_RETRY_S, _LONGEST_PAUSE_S = 0.1, 5.0
_PASSING = {429, 502, 503, 504}


@dataclass(frozen=True)
class Write:
    """One document for one physical index; `body` is its source in JSON."""

    index: str
    document_id: str
    version: int
    body: bytes

    def lines(self, version_type: VersionType) -> bytes:
        """The two lines of a bulk request."""
        action = {"_index": self.index, "_id": self.document_id, "version": self.version, "version_type": version_type}
        return json.dumps({"index": action}).encode() + b"\n" + self.body + b"\n"


def write_all(
    client: OpenSearch, writes: Sequence[Write], settings: OpenSearchSettings, *, version_type: VersionType = "external"
) -> list[WriteStatus]:
    """One status each, in order; every write of one id in the order given.

    Raises InvalidArgument for a document that the mapping does not take (others of the batch may be stored: writing them again
    changes nothing), Overloaded or Unavailable when the cluster does not take them within some attempts.
    """
    statuses: list[WriteStatus] = []
    for part in _parts(writes, settings.opensearch_bulk_bytes, version_type):
        statuses += _write_part(client, part, settings)
    return statuses


def _write_part(client: OpenSearch, lines: Sequence[bytes], settings: OpenSearchSettings) -> list[WriteStatus]:
    """Sends again what the cluster had no room for, after a pause with full jitter, and nothing else."""
    found: dict[int, WriteStatus] = {}
    waiting = list(range(len(lines)))
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Overloaded),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_RETRY_S, max=_LONGEST_PAUSE_S),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    ):
        with attempt:
            items = _send(client, [lines[i] for i in waiting], settings)
            refused = []
            for i, item in zip(waiting, items, strict=True):
                status = _status(item)
                if status is None:
                    refused.append(i)
                else:
                    found[i] = status
            waiting = refused
            if waiting:
                raise Overloaded(f"OpenSearch had no room for {len(waiting)} of {len(lines)} documents")
    return [found[i] for i in range(len(lines))]


def _send(client: OpenSearch, lines: Sequence[bytes], settings: OpenSearchSettings) -> list[dict[str, Any]]:
    options: dict[str, Any] = {"refresh": settings.opensearch_refresh}
    if settings.opensearch_pipeline:
        options["pipeline"] = settings.opensearch_pipeline
    with translated():
        answer = client.bulk(body=b"".join(lines), params=options)
    return [item["index"] for item in answer["items"]]


def _status(item: dict[str, Any]) -> WriteStatus | None:
    """What became of a document; None when it is to be sent again."""
    code = item["status"]
    if code in {200, 201}:
        return WriteStatus.STORED
    if code == 409:
        return WriteStatus.STALE
    if code in _PASSING:
        return None
    error = item.get("error", {})
    cause = error.get("caused_by", {}).get("reason", "")
    told = f"{error.get('type', '')}: {error.get('reason', '')} {cause}".strip()
    if code == 400:
        raise InvalidArgument("document", f"OpenSearch does not take it: {told}")
    if "block" in told:
        raise Unavailable(f"OpenSearch takes no writes now: {told}; free its disk")
    raise Internal(f"OpenSearch answers {code} for a document: {told}")


def _parts(writes: Sequence[Write], limit_bytes: int, version_type: VersionType) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for write in writes:
        lines = write.lines(version_type)
        if part and size + len(lines) > limit_bytes:
            yield part
            part, size = [], 0
        part.append(lines)
        size += len(lines)
    if part:
        yield part
