"""Limits of ingest: photos in progress, commits, retries, and the intervals of a watch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Limits of ingest. They are constants, not settings; tests pass smaller ones.

    `max_photos`, `max_bytes`: maximum number of photos in progress, and of their encoded bytes; a larger photo is processed
    alone. They keep 16 workers busy during a commit, in bounded memory.
    `commit_photos`, `commit_interval_s`: maximum photos of a commit, and maximum wait of a finished photo. A commit costs one
    fsync: more than 32 photos gain little, and half a second is short enough for searches.
    `retry_s`: how long retriable errors of a step are retried: longer than the restart of a service.
    `embed_timeout_s`: maximum time of one photo in the embedder, including its wait in the queue.
    `settle_s`: quiet time of a watched folder before it is compared, so that copying many files causes one comparison.
    `quiet_s`: quiet time of a file before a watch reads it: uploads over a network pause between writes.
    `rescan_s`: interval of full comparisons without a reported change: network file systems report none.
    """

    max_photos: int = 64
    max_bytes: int = 128 * 1024 * 1024
    commit_photos: int = 32
    commit_interval_s: float = 0.5
    retry_s: float = 60.0
    embed_timeout_s: float = 60.0
    settle_s: float = 0.5
    quiet_s: float = 2.0
    rescan_s: float = 900.0


PACE = Pace()
