"""Weights files in PyTorch's legacy format, written without PyTorch."""

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Pickles as the global `module.name`, or as a call of it."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class LegacyPickler(pickle._Pickler):
    """Writes globals by name alone, as PyTorch's files hold them."""

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
    """`value` as one pickle."""
    out = io.BytesIO()
    LegacyPickler(out, 2).dump(value)
    return out.getvalue()


def tensor(
    *, offset: int = 0, shape: tuple[int, ...] = (2, 3), strides: tuple[int, ...] = (3, 1), dtype: str = "FloatStorage"
) -> Named:
    """A tensor over the storage `7`, which has six elements."""
    storage = Named("", "storage", "storage", Named("torch", dtype), "7", "cpu", 6, None)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def weights_file(state: object = None, *, magic: int = MAGIC, dtype: type = np.float32) -> bytes:
    """A whole file with one storage of six elements, and `state` over it."""
    elements = np.arange(6, dtype=dtype)
    parts = (magic, 1001, {"little_endian": True}, {"a": tensor()} if state is None else state, ["7"])
    return b"".join(pickled(part) for part in parts) + struct.pack("<q", 6) + elements.tobytes()
