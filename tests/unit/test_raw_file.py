"""Whether a TIFF is a raw file, from bytes that others wrote."""

import struct

from hypothesis import example, given
from hypothesis import strategies as st
from miradouro.core.raw_file import is_raw_tiff

MOST_READ_BYTES = 60_000
TAGS = st.sampled_from([254, 262, 330, 33422, 50706]) | st.integers(0, 65_535)
ENTRIES = st.lists(st.tuples(TAGS, st.integers(0, 13), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=20)
ITSELF = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 330, 4, 1, 8)


@st.composite
def tiffs(draw: st.DrawFn) -> bytes:
    order = draw(st.sampled_from("<>"))
    entries = draw(ENTRIES)
    listed = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, draw(st.just(8) | st.integers(0, 300)))
    return head + struct.pack(order + "H", draw(st.just(len(entries)) | st.integers(0, 65_535))) + listed


@given(tiffs() | st.binary(max_size=300))
@example(ITSELF)
@example(b"II*\0\x08\0\0\0\xff\xff" + bytes(100_000))
def test_any_bytes_are_classified_by_a_bounded_read(data):
    read = 0

    def read_at(offset: int, size: int) -> bytes:
        nonlocal read
        read += len(data[offset : offset + size])
        return data[offset : offset + size]

    assert is_raw_tiff(read_at) in {True, False}
    assert read <= MOST_READ_BYTES
