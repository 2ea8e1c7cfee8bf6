"""Reading metadata costs little, whatever the file holds."""

import sys
import time
import tracemalloc

import pytest
from miradouro.core.metadata import read_metadata

from tests.hostile_metadata import hostile_photos

SIZE = 16 * 2**20
MAX_PEAK_BYTES = 8 * 2**20
MAX_CALLS = 200_000
MAX_CPU_S = 1.0  # ten times what it takes: a loop over all of the file takes more
PHOTOS = hostile_photos(SIZE)


def calls(function, *arguments) -> int:
    """How many functions, of Python and of C, are called meanwhile."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", PHOTOS)
def test_hostile_metadata_cost_little(name):
    data = PHOTOS[name]()

    began = time.thread_time()
    read_metadata(data)
    assert time.thread_time() - began < MAX_CPU_S

    assert calls(read_metadata, data) < MAX_CALLS

    tracemalloc.start()
    read_metadata(data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < MAX_PEAK_BYTES
