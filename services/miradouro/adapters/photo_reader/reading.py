"""Reading photos as a process is composed with it: the reader, and the photos that it takes."""

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
        """A reader that remembers in `folder` which photos were being read when the process ended: for ingest."""
        return JobReader(Journal(folder, self.pool).run)

    def abandon(self) -> None:
        """Ends what is being read, and all that comes, with Unavailable: nobody waits for it any more."""
        self.pool.close()


def _room_for(photos: DecodeLimits) -> ReaderLimits:
    """The limits of memory; photos larger than the default ones are given more."""
    more = max(0, photos.max_decode_bytes - DEFAULT_LIMITS.max_decode_bytes)
    return ReaderLimits(address_space_bytes=ADDRESS_SPACE_BYTES + more, budget_bytes=BUDGET_BYTES + more)


@contextmanager
def open_reading(settings: ReadingSettings, *, warm: bool = False) -> Iterator[Reading]:
    """Reads photos while the block runs. The first child starts with the first photo; `warm` starts them all at once."""
    with ReaderPool(size=settings.photo_processes, limits=_room_for(settings.limits)) as pool:
        if warm:
            pool.warm()
        yield Reading(JobReader(pool.run), settings.limits, pool)
