"""Reads the legacy (non-zip) file format of PyTorch state dicts without PyTorch and without executing a pickle.

Layout: four pickles (magic number, protocol, system facts, state dict), a fifth with the storage keys, then per storage
its length (little-endian int64) and its raw elements.
"""

import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.weights_pickle import UnreadablePickle, read_pickle
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.LongStorage": np.dtype("<i8"),
}
_MAX_SIDES = 8  # of a tensor
_MAX_COPIES = 4  # elements of all tensors together, for each stored one: tensors may share a storage


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _View:
    """A tensor before its storage is read: the arguments of torch._utils._rebuild_tensor_v2."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Name → array, as stored. Raises BadBundle when the file is no legacy state dict or holds anything but arrays."""
    stream = io.BytesIO(path.read_bytes())
    try:
        if (_read(stream), _read(stream)) != (_MAGIC, _PROTOCOL):
            raise BadBundle(f"{path}: no state dict in PyTorch's legacy format")
        _read(stream)  # word sizes and byte order of the writer: little-endian in every release of PyTorch
        views = _views(_read(stream))
        elements = _elements(stream, _read(stream), {view.storage.key: view.storage.dtype for view in views.values()})
        _check_size(views, elements)
        return {name: _array(view, elements[view.storage.key]) for name, view in views.items()}
    except (UnreadablePickle, struct.error, ValueError, KeyError, TypeError, OverflowError) as exc:
        raise BadBundle(f"{path}: no readable table of weights: {exc!s:.300}") from exc


def _read(stream: io.BytesIO) -> Any:
    return read_pickle(stream, call=_called, persistent=_storage)


def _called(name: str, arguments: tuple[Any, ...]) -> Any:
    """The result of one of the two functions that a state dict calls; any other call is refused."""
    if name == "collections.OrderedDict" and arguments == ():
        return {}
    if name == "torch._utils._rebuild_tensor_v2":
        storage, offset, shape, strides, *_ = arguments
        numbers = (offset, *shape, *strides)
        if (
            type(storage) is _Storage
            and len(shape) <= _MAX_SIDES
            and all(type(one) is int for one in numbers)
            and min(numbers) >= 0
        ):
            return _View(storage, offset, shape, strides)
    raise UnreadablePickle(f"the file calls {shown(name)} in a way that no table of weights needs")


def _storage(pid: tuple[Any, ...]) -> _Storage:
    kind, dtype, key, *_ = pid
    if kind != "storage" or type(key) is not str or dtype not in _DTYPES:
        raise UnreadablePickle(f"a storage of {shown(dtype)}; allowed: {', '.join(_DTYPES)}")
    return _Storage(key, _DTYPES[dtype])


def _views(table: Any) -> dict[str, _View]:
    if type(table) is not dict or not all(type(view) is _View for view in table.values()):
        raise UnreadablePickle("its fourth part is no table of tensors")
    return table


def _check_size(views: dict[str, _View], elements: dict[str, npt.NDArray[Any]]) -> None:
    """Refuses tensors that repeat stored elements, as by strides of 0: they would fill the memory."""
    wanted, stored = sum(math.prod(view.shape) for view in views.values()), sum(map(len, elements.values()))
    if wanted > _MAX_COPIES * stored:
        raise UnreadablePickle(f"its tensors have {wanted:,} elements, of which {stored:,} are stored")


def _elements(stream: io.BytesIO, keys: Any, dtypes: dict[str, np.dtype[Any]]) -> dict[str, npt.NDArray[Any]]:
    if type(keys) is not list:
        raise UnreadablePickle("its fifth part is no list of storages")
    elements = {}
    for key in keys:
        (length,) = struct.unpack("<q", stream.read(8))
        elements[key] = np.frombuffer(stream.read(max(length, 0) * dtypes[key].itemsize), dtypes[key], length)
    return elements


def _array(view: _View, elements: npt.NDArray[Any]) -> npt.NDArray[Any]:
    size = elements.itemsize
    strides = [stride * size for stride in view.strides]
    # numpy refuses a view beyond its buffer, so that offsets and strides from the file need no check of their own.
    return np.ascontiguousarray(np.ndarray(view.shape, elements.dtype, elements.data, view.offset * size, strides))
