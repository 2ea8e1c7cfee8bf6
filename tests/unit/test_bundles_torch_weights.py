from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from miradouro.bundles.torch_weights import read_state_dict
from miradouro.core.errors import BadBundle

from tests.fuzz.bounds import bounded
from tests.fuzz.weights_file import MAGIC, Named, legacy_file, stored_tensor, tensor, weights_file, zip_file


def file_of(state: object, path: Path, *, magic: int = MAGIC, dtype: type = np.float32) -> Path:
    path.write_bytes(weights_file(state, magic=magic, dtype=dtype))
    return path


def test_arrays_come_back_as_they_were_stored(tmp_path: Path) -> None:
    state = OrderedDict(a=tensor(), b=tensor(offset=1, shape=(), strides=()), c=tensor(shape=(3, 2), strides=(1, 3)))
    read = read_state_dict(file_of(state, tmp_path / "weights.pth"))
    assert list(read) == ["a", "b", "c"]
    np.testing.assert_array_equal(read["a"], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert read["b"] == 1
    np.testing.assert_array_equal(read["c"], np.arange(6, dtype=np.float32).reshape(2, 3).T)


STATE = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.full(4, 0.5, np.float32)}


@pytest.mark.parametrize("written", [legacy_file, zip_file])
def test_both_formats_give_the_same_arrays(tmp_path: Path, written: Callable[[dict[str, np.ndarray]], bytes]) -> None:
    (tmp_path / "weights.pth").write_bytes(written(STATE))
    read = read_state_dict(tmp_path / "weights.pth")
    assert list(read) == list(STATE)
    for name, value in STATE.items():
        np.testing.assert_array_equal(read[name], value)


def test_parameters_of_old_releases_are_read(tmp_path: Path) -> None:
    plain = tensor()
    storage, *place = plain.arguments
    state = OrderedDict(
        rebuilt=Named("torch._utils", "_rebuild_parameter", plain, True, OrderedDict()),
        filled=Named("torch.nn.parameter", "Parameter", state=(plain, True, False, OrderedDict())),
        called=Named("torch.nn.parameter", "Parameter", plain, True),
        bare=Named("torch", "FloatTensor", state=(storage, *place[:3])),
    )
    read = read_state_dict(file_of(state, tmp_path / "weights.pth"))
    assert list(read) == list(state)
    for array in read.values():
        np.testing.assert_array_equal(array, np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(zip_file(STATE)[:-30], id="cut short"),
        pytest.param(zip_file(STATE, byte_order=b"big"), id="the other byte order"),
        pytest.param(zip_file({}, table=OrderedDict(a=stored_tensor("0", np.zeros(3)))), id="without a storage"),
        pytest.param(zip_file({"a": np.zeros(2, np.float32)}, table=OrderedDict(a=stored_tensor("0", np.zeros(3)))), id="beyond"),
        pytest.param(zip_file({}, table=OrderedDict(a=Named("os", "system", "touch called"))), id="a call"),
        pytest.param(b"PK\x03\x04 and so on", id="no archive"),
    ],
)
def test_a_bad_archive_is_refused_by_name(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(archive)
    with pytest.raises(BadBundle, match=r"weights\.pth: no readable table"):
        read_state_dict(tmp_path / "weights.pth")


def test_integers_are_read_too(tmp_path: Path) -> None:
    read = read_state_dict(file_of(OrderedDict(n=tensor(dtype="LongStorage")), tmp_path / "weights.pth", dtype=np.int64))
    assert read["n"].dtype == np.int64
    assert read["n"].sum() == 15


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("collections", "deque"), ("numpy", "fromfile")],
)
def test_any_other_global_is_refused_before_its_call(tmp_path: Path, module: str, name: str) -> None:
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
    with pytest.raises(BadBundle, match="neither of PyTorch's formats"):
        read_state_dict(file_of(OrderedDict(), tmp_path / "weights.pth", magic=1))
    with pytest.raises(BadBundle, match="no readable table"):
        read_state_dict(file_of([1, 2], tmp_path / "weights.pth"))


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(b"]r\xff\xff\xff\xff.", id="a memo index that reserves 32 GiB"),
        pytest.param(b"})" + b"\x85" * 400_000 + b"K\x01s.", id="a key nested deeper than the stack"),
        pytest.param(b"}" + b")" + b"q\x00h\x00\x86" * 60 + b"K\x01s.", id="a key that takes 2^60 steps to hash"),
        pytest.param(b"0" * 10, id="more taken than put"),
        pytest.param(b"c__builtin__\neval\n(X\x01\x00\x00\x001tR.", id="a call"),
        pytest.param(b"X\xff\xff\xff\x7fa.", id="a text longer than the file"),
        pytest.param(b"}" + b"K\x01" * 300_000 + b".", id="more operations than any table"),
    ],
)
def test_a_pickle_made_to_harm_is_refused(tmp_path: Path, operations: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"\x80\x02" + operations)
    with bounded(seconds=10, mebibytes=256), pytest.raises(BadBundle, match="no readable table"):
        read_state_dict(path)


@pytest.mark.parametrize("view", [{"shape": (2**40,), "strides": (0,)}, {"shape": (1,) * 9, "strides": (1,) * 9}])
def test_a_tensor_that_repeats_its_storage_is_refused(tmp_path: Path, view: dict[str, tuple[int, ...]]) -> None:
    with bounded(seconds=10, mebibytes=256), pytest.raises(BadBundle, match="no readable table"):
        read_state_dict(file_of(OrderedDict(a=tensor(**view)), tmp_path / "weights.pth"))
