"""Reads the legacy (non-zip) file format of PyTorch, in use before 1.6.

Layout: four pickles (magic number, protocol, system facts, table of tensors), a fifth with the storage keys, then per storage
its length (little-endian int64) and its raw elements.
"""

import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.torch_tensors import Storage, arrays, read_value, read_views
from miradouro.bundles.weights_pickle import UnreadablePickle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_legacy(file: IO[bytes], size_bytes: int) -> dict[str, npt.NDArray[Any]]:
    """Name → array, as stored, of a file of `size_bytes`.

    Raises UnreadablePickle, struct.error, ValueError, KeyError, TypeError.
    """
    if (read_value(file), read_value(file)) != (_MAGIC, _PROTOCOL):
        raise UnreadablePickle("it is in neither of PyTorch's formats")
    read_value(file)  # word sizes and byte order of the writer: little-endian in every release of PyTorch
    views = read_views(file)
    storages = {view.storage.key: view.storage for view in views.values()}
    return arrays(views, _elements(file, read_value(file), storages, size_bytes))


def _elements(file: IO[bytes], keys: Any, storages: Mapping[str, Storage], size_bytes: int) -> dict[str, npt.NDArray[Any]]:
    if type(keys) is not list:
        raise UnreadablePickle("its fifth part is no list of storages")
    elements = {}
    for key in keys:
        (length,) = struct.unpack("<q", file.read(8))
        dtype = storages[key].dtype
        if not 0 <= length * dtype.itemsize <= size_bytes - file.tell():
            raise UnreadablePickle("it is cut short")
        elements[key] = np.frombuffer(file.read(length * dtype.itemsize), dtype, length)
    return elements
