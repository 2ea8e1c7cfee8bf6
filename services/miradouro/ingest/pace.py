"""How many photos are under way, how often they are committed, and how long is waited for what is away."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Limits of ingest. Operators need not know them; tests give smaller ones.

    `max_photos`, `max_bytes`: most photos between being read and being written, and their encoded bytes; one larger photo goes
    alone. They keep 16 workers busy while a group is committed, in bounded memory.
    `commit_photos`, `commit_interval_s`: most photos in one commit, and the longest that a finished photo waits for one. A commit
    costs one fsync: beyond 32 photos more gain little, and half a second is soon enough to be found.
    `retry_s`: how long a step that fails for a passing reason is tried again: longer than a service takes to start again.
    `embed_timeout_s`: how long one photo may take in the embedder, waiting for its turn included.
    `settle_s`: how long a watched folder has to be quiet before it is compared: a copy of many files is compared once.
    `quiet_s`: how long a file has to be quiet before a watch reads it: uploads over a network write with pauses.
    `rescan_s`: how often a watched folder is compared although no change was noticed: network disks report none.
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
