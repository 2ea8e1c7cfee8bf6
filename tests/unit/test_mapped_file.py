"""A map outlives its descriptor and its file's name, and goes with the last array over it."""

import os
from pathlib import Path

import pytest
from miradouro.adapters.sqlite_index.vectors.mapped_file import map_file


def is_mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


def test_a_map_exists_as_long_as_its_arrays(tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(bytes(range(256)) * 64)
    open_before = len(os.listdir("/proc/self/fd"))
    with path.open("rb") as file:
        whole = map_file(file.fileno(), 16_384)
    part = whole[256:].view("<i8").reshape(-1, 2)[1:]
    del whole
    path.unlink()
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert part[0].tobytes() == bytes(range(16, 32))
    assert is_mapped(path)
    del part
    assert not is_mapped(path)


def test_a_map_is_read_only(tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        mapped = map_file(file.fileno(), 3)
        with pytest.raises(ValueError, match="read-only"):
            mapped[0] = 1
        with pytest.raises(OSError, match="Invalid argument"):
            map_file(file.fileno(), 0)
