"""Reads PyTorch's tables of weights ("state dicts") without PyTorch and without executing a pickle."""

import struct
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy.typing as npt

from miradouro.bundles.torch_legacy import read_legacy
from miradouro.bundles.torch_zip import read_zip
from miradouro.bundles.weights_pickle import UnreadablePickle
from miradouro.core.errors import BadBundle

_ZIP = b"PK\x03\x04"
# A damaged archive makes zipfile read before the start of the file, or ask for a password.
_OF_ZIPFILE = (BadZipFile, OSError, RuntimeError, EOFError)
_PICKLE = b"\x80\x02"  # protocol 2, which PyTorch writes


def is_torch_file(path: Path) -> bool:
    """Whether the file begins as PyTorch's formats do; no ONNX file begins so. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)).startswith((_ZIP, _PICKLE))


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Name → array, as stored, of a file in the zip format or in the legacy one.

    Raises BadBundle when the file is neither, or holds anything but arrays; OSError.
    """
    with path.open("rb") as file:
        read = read_zip if file.read(len(_ZIP)) == _ZIP else read_legacy
        file.seek(0)
        try:
            return read(file, path.stat().st_size)
        except (UnreadablePickle, struct.error, ValueError, KeyError, TypeError, OverflowError, *_OF_ZIPFILE) as exc:
            raise BadBundle(f"{path}: no readable table of weights: {exc!s:.300}") from exc
