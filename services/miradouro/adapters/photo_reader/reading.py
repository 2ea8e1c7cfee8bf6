"""Composes the reading of photos for a process: the reader, its limits and its pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from miradouro.adapters.photo_reader.journal import Journal
from miradouro.adapters.photo_reader.limits import ADDRESS_SPACE_BYTES, BUDGET_BYTES, ReaderLimits
from miradouro.adapters.photo_reader.pool import ReaderPool
from miradouro.adapters.photo_reader.reader import JobReader
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.ports import PhotoReader


@dataclass(frozen=True)
class Reading:
    """The reader of a process, the limits of its photos, and the pool behind it."""

    reader: PhotoReader
    limits: DecodeLimits
    pool: ReaderPool

    def remembering(self, folder: Path) -> PhotoReader:
        """A reader for ingest: records in `folder` which photos are being read, for the case that the process ends."""
        return JobReader(Journal(folder, self.pool).run)

    def abandon(self) -> None:
        """Ends current and later reads with Unavailable: no caller waits for them."""
        self.pool.close()


def _room_for(photos: DecodeLimits) -> ReaderLimits:
    """The default limits, with more memory when `photos` admits larger photos than the default."""
    more = max(0, photos.max_decode_bytes - DEFAULT_LIMITS.max_decode_bytes)
    return ReaderLimits(address_space_bytes=ADDRESS_SPACE_BYTES + more, budget_bytes=BUDGET_BYTES + more)


@contextmanager
def open_reading(settings: ReadingSettings, *, warm: bool = False) -> Iterator[Reading]:
    """Reads photos while the block runs. The first child starts with the first photo; `warm` starts all children now."""
    with ReaderPool(size=settings.photo_processes, limits=_room_for(settings.limits)) as pool:
        if warm:
            pool.warm()
        yield Reading(JobReader(pool.run), settings.limits, pool)
