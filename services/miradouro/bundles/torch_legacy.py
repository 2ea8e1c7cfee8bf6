"""Reads the legacy (non-zip) file format of PyTorch state dicts without PyTorch, and without running what a pickle says.

Layout: four pickles (magic number, protocol, system facts, state dict), a fifth with the storage keys, then per storage
its length (little-endian int64) and its raw elements.
"""

import collections
import io
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.core.errors import BadBundle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _View:
    """A tensor before its storage is read: what torch._utils._rebuild_tensor_v2 is called with."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def rebuild(cls, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> "_View":
        return cls(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Knows five globals and calls nothing else."""

    _GLOBALS: dict[tuple[str, str], Any] = {  # noqa: RUF012 - never changed
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _View.rebuild,
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "DoubleStorage"): np.dtype("<f8"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no table of weights needs") from None

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return _Storage(key, dtype)


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Name → array, as stored. Raises BadBundle when the file is no legacy state dict or asks for anything but arrays."""
    stream = io.BytesIO(path.read_bytes())
    try:
        if (_Unpickler(stream).load(), _Unpickler(stream).load()) != (_MAGIC, _PROTOCOL):
            raise BadBundle(f"{path}: no state dict in PyTorch's legacy format")
        _Unpickler(stream).load()  # word sizes and byte order of the writer: little-endian in every release of PyTorch
        views: dict[str, _View] = _Unpickler(stream).load()
        dtypes = {view.storage.key: view.storage.dtype for view in views.values()}
        elements = {}
        for key in _Unpickler(stream).load():
            (length,) = struct.unpack("<q", stream.read(8))
            elements[key] = np.frombuffer(stream.read(length * dtypes[key].itemsize), dtypes[key], length)
        return {name: _array(view, elements[view.storage.key]) for name, view in views.items()}
    except (pickle.UnpicklingError, EOFError, struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise BadBundle(f"{path}: no readable table of weights: {exc}") from exc


def _array(view: _View, elements: npt.NDArray[Any]) -> npt.NDArray[Any]:
    size = elements.itemsize
    strides = [stride * size for stride in view.strides]
    # numpy refuses a view that leaves its buffer, so that offsets and strides from the file need no check of their own.
    return np.ascontiguousarray(np.ndarray(view.shape, elements.dtype, elements.data, view.offset * size, strides))
