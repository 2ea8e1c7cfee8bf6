"""Weights files in both of PyTorch's formats, written without PyTorch."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Pickles as the global `module.name`, or as a call of it; with a `state`, as a new object of that class and its state."""

    def __init__(self, module: str, name: str, *arguments: object, state: object = None) -> None:
        self.module, self.name, self.arguments, self.state = module, name, arguments, state


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
        if value.state is not None:
            self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
            super().save(value.state)
            self.write(pickle.BUILD)


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


def stored_tensor(key: str, value: np.ndarray, function: str = "_rebuild_tensor_v2") -> Named:
    """A float32 tensor that is all of the storage `key`."""
    storage = Named("", "storage", "storage", Named("torch", "FloatStorage"), key, "cpu", value.size, None)
    strides = tuple(stride // value.itemsize for stride in np.empty(value.shape, value.dtype).strides)
    extra = (False, OrderedDict()) if function.endswith("v2") else ()
    return Named("torch._utils", function, storage, 0, value.shape, strides, *extra)


def legacy_file(state: Mapping[str, np.ndarray]) -> bytes:
    """The float32 arrays in the legacy format, as PyTorch wrote it before 0.4."""
    keys = {name: str(number) for number, name in enumerate(state)}
    table = OrderedDict((name, stored_tensor(keys[name], value, "_rebuild_tensor")) for name, value in state.items())
    parts = (MAGIC, 1001, {"little_endian": True}, table, list(keys.values()))
    elements = (struct.pack("<q", value.size) + np.ascontiguousarray(value, "<f4").tobytes() for value in state.values())
    return b"".join([*(pickled(part) for part in parts), *elements])


def zip_file(state: Mapping[str, np.ndarray], *, table: object = None, byte_order: bytes = b"little") -> bytes:
    """The float32 arrays in the zip format; `table` takes the place of their table."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        tensors = OrderedDict((name, stored_tensor(str(number), value)) for number, (name, value) in enumerate(state.items()))
        archive.writestr("archive/data.pkl", pickled(tensors if table is None else table))
        archive.writestr("archive/byteorder", byte_order)
        for number, value in enumerate(state.values()):
            archive.writestr(f"archive/data/{number}", np.ascontiguousarray(value, "<f4").tobytes())
        archive.writestr("archive/version", b"3\n")
    return out.getvalue()
