"""Reads the zip file format of PyTorch, in use since 1.6.

Entries, below one folder of any name: `data.pkl` with the table of tensors, `data/KEY` with the raw elements of each storage,
and in later releases `byteorder`.
"""

from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import numpy.typing as npt

from miradouro.bundles.torch_tensors import arrays, read_views
from miradouro.bundles.weights_pickle import UnreadablePickle

_TABLE = "data.pkl"
_MAX_BYTE_ORDER = 16


def read_zip(file: IO[bytes], size_bytes: int) -> dict[str, npt.NDArray[Any]]:
    """Name → array, as stored, of a file of `size_bytes`.

    Raises UnreadablePickle, ValueError, KeyError, TypeError, and the errors of zipfile: BadZipFile, OSError,
    RuntimeError, EOFError.
    """
    with ZipFile(file) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if entry.compress_type == ZIP_STORED}
        folders = [name.removesuffix(_TABLE) for name in sizes if name.count("/") == 1 and name.endswith(f"/{_TABLE}")]
        if len(folders) != 1:
            raise UnreadablePickle("it is an archive, but none that PyTorch wrote")
        folder = folders[0]
        order = f"{folder}byteorder"
        if sizes.get(order, 0) > _MAX_BYTE_ORDER or (order in sizes and archive.read(order) != b"little"):
            raise UnreadablePickle("its numbers are not in little-endian order")
        with archive.open(folder + _TABLE) as table:
            views = read_views(table)
        storages = {view.storage.key: view.storage for view in views.values()}
        # Entries can overlap: a small archive could hold the same bytes as many storages.
        if sum(sizes.get(f"{folder}data/{key}", 0) for key in storages) > size_bytes:
            raise UnreadablePickle("its storages have more bytes than the file")
        elements = {}
        for key, storage in storages.items():
            name = f"{folder}data/{key}"
            if name not in sizes:
                raise UnreadablePickle(f"the storage {key:.100} is missing, or compressed")
            elements[key] = np.frombuffer(archive.read(name), storage.dtype)
        return arrays(views, elements)
