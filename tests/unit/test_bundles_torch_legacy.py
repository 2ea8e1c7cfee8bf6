import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from miradouro.bundles.torch_legacy import read_state_dict
from miradouro.core.errors import BadBundle

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Pickles as the global `module.name`, or as a call of it."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class LegacyPickler(pickle._Pickler):
    """Writes globals by name alone, as PyTorch's files hold them, without PyTorch."""

    def persistent_id(self, value: object) -> object:
        return value.arguments if isinstance(value, Named) and value.name == "storage" else None

    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if not isinstance(value, Named) or value.name == "storage":
            super().save(value, save_persistent_id)
            return
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        if value.arguments:
            super().save(value.arguments)
            self.write(pickle.REDUCE)


def pickled(value: object) -> bytes:
    out = io.BytesIO()
    LegacyPickler(out, 2).dump(value)
    return out.getvalue()


def tensor(
    *, offset: int = 0, shape: tuple[int, ...] = (2, 3), strides: tuple[int, ...] = (3, 1), dtype: str = "FloatStorage"
) -> Named:
    storage = Named("", "storage", "storage", Named("torch", dtype), "7", "cpu", 6, None)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def file_of(state: object, path: Path, *, magic: int = MAGIC, dtype: type = np.float32) -> Path:
    elements = np.arange(6, dtype=dtype)
    head = b"".join(pickled(part) for part in (magic, 1001, {"little_endian": True}, state, ["7"]))
    path.write_bytes(head + struct.pack("<q", 6) + elements.tobytes())
    return path


def test_arrays_come_back_as_they_were_stored(tmp_path: Path) -> None:
    state = OrderedDict(a=tensor(), b=tensor(offset=1, shape=(), strides=()), c=tensor(shape=(3, 2), strides=(1, 3)))
    read = read_state_dict(file_of(state, tmp_path / "weights.pth"))
    assert list(read) == ["a", "b", "c"]
    np.testing.assert_array_equal(read["a"], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert read["b"] == 1
    np.testing.assert_array_equal(read["c"], np.arange(6, dtype=np.float32).reshape(2, 3).T)


def test_integers_are_read_too(tmp_path: Path) -> None:
    read = read_state_dict(file_of(OrderedDict(n=tensor(dtype="LongStorage")), tmp_path / "weights.pth", dtype=np.int64))
    assert read["n"].dtype == np.int64
    assert read["n"].sum() == 15


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("collections", "deque"), ("numpy", "fromfile")],
)
def test_any_other_global_is_refused_before_it_is_called(tmp_path: Path, module: str, name: str) -> None:
    victim = tmp_path / "called"
    state = OrderedDict(a=Named(module, name, f"touch {victim}"))
    with pytest.raises(BadBundle, match=f"{module}.{name}"):
        read_state_dict(file_of(state, tmp_path / "weights.pth"))
    assert not victim.exists()


@pytest.mark.parametrize("view", [{"offset": 1}, {"shape": (2, 4)}, {"offset": -1}, {"strides": (3, 2)}, {"strides": (-3, 1)}])
def test_a_view_that_leaves_its_storage_is_refused(tmp_path: Path, view: dict[str, object]) -> None:
    with pytest.raises(BadBundle, match="no readable table"):
        read_state_dict(file_of(OrderedDict(a=tensor(**view)), tmp_path / "weights.pth"))


@pytest.mark.parametrize("kept", [0, 1, 10, 40, -1, -20])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, kept: int) -> None:
    path = file_of(OrderedDict(a=tensor()), tmp_path / "weights.pth")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadBundle, match=r"weights\.pth"):
        read_state_dict(path)


def test_a_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="legacy format"):
        read_state_dict(file_of(OrderedDict(), tmp_path / "weights.pth", magic=1))
    with pytest.raises(BadBundle, match="no readable table"):
        read_state_dict(file_of([1, 2], tmp_path / "weights.pth"))
