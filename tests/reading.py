"""Photos read in child processes, as services do it: one pool for all tests of a process, which starts with the first photo."""

import atexit
from dataclasses import replace

from miradouro.adapters.photo_reader.pool import ReaderPool
from miradouro.adapters.photo_reader.reader import JobReader
from miradouro.adapters.photo_reader.reading import Reading
from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits

_POOL = ReaderPool(size=2)
atexit.register(_POOL.close)
READER = JobReader(_POOL.run)
READING = Reading(READER, DEFAULT_LIMITS, _POOL)


def reading(limits: DecodeLimits) -> Reading:
    """The same pool for photos within other limits."""
    return replace(READING, limits=limits)
