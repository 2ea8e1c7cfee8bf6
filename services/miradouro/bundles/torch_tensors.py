"""Tensors in PyTorch's pickles, as data: the two file formats differ only in where the elements lie."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.weights_pickle import UnreadablePickle, read_pickle
from miradouro.core.error_text import shown

_DTYPES: dict[str, np.dtype[Any]] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.LongStorage": np.dtype("<i8"),
}
_MAX_SIDES = 8  # of a tensor
_MAX_COPIES = 4  # elements of all tensors together, for each stored one: tensors may share a storage
_PARAMETER = "torch.nn.parameter.Parameter"
_SHELLS = frozenset({_PARAMETER, "torch.FloatTensor", "torch.DoubleTensor", "torch.LongTensor"})


@dataclass(frozen=True)
class Storage:
    """A file's array of elements; `length` is their number, as the pickle says."""

    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True)
class View:
    """A tensor before its storage is read: offset, shape and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Shell:
    """A tensor or parameter of PyTorch before 0.4: the pickle makes it empty, and gives it its state later."""

    def __init__(self) -> None:
        self.view: View | None = None


def read_value(stream: IO[bytes]) -> Any:
    """The next pickle of a weights file. Raises UnreadablePickle."""
    return read_pickle(stream, call=_called, persistent=_storage, fill=_filled)


def read_views(stream: IO[bytes]) -> dict[str, View]:
    """The next pickle, a table of tensors by name. Raises UnreadablePickle, also when it holds anything else."""
    table = read_value(stream)
    if type(table) is not dict:
        raise UnreadablePickle("it is no table of tensors")
    views: dict[str, View] = {}
    for name, value in table.items():
        view = value.view if type(value) is _Shell else value
        if type(view) is not View:
            raise UnreadablePickle(f"it is no table of tensors: {shown(name)} is another thing")
        views[name] = view
    return views


def arrays(views: Mapping[str, View], elements: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The tensors by name; `elements` are the storages by key. Raises UnreadablePickle, ValueError, TypeError, KeyError."""
    # Strides of 0 repeat elements: a small file would fill the memory.
    wanted, stored = sum(math.prod(view.shape) for view in views.values()), sum(map(len, elements.values()))
    if wanted > _MAX_COPIES * stored:
        raise UnreadablePickle(f"its tensors have {wanted:,} elements, of which {stored:,} are stored")
    return {name: _array(view, elements[view.storage.key]) for name, view in views.items()}


def _called(name: str, arguments: tuple[Any, ...]) -> Any:
    """The result of one of the functions that a table of weights calls; any other call is refused."""
    match name, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor", (storage, offset, shape, strides, *_):
            return _view(storage, offset, shape, strides)
        case "torch._utils._rebuild_parameter" | "torch.nn.parameter.Parameter", (View() as view, *_):
            return view
        case _, () if name in _SHELLS:
            return _Shell()
    raise UnreadablePickle(f"the file calls {shown(name)} in a way that no table of weights needs; nothing of it was run")


def _filled(target: Any, state: Any) -> None:
    """A table's state holds the versions of its layers, which are not needed; that of a shell is its tensor."""
    if type(target) is dict:
        return
    if type(target) is _Shell and type(state) is tuple:
        match state:
            case (View() as view, *_):
                target.view = view
                return
            case (Storage() as storage, offset, shape, strides):
                target.view = _view(storage, offset, shape, strides)
                return
    raise UnreadablePickle(f"the file gives a state to a {type(target).__name__}, which no table of weights needs")


def _view(storage: Any, offset: Any, shape: Any, strides: Any) -> View:
    if type(storage) is Storage and type(shape) is type(strides) is tuple and len(shape) == len(strides) <= _MAX_SIDES:
        numbers = (offset, *shape, *strides)
        if all(type(one) is int for one in numbers) and min(numbers) >= 0:
            return View(storage, offset, shape, strides)
    raise UnreadablePickle("a tensor has a shape, or strides, that no table of weights needs")


def _storage(pid: Any) -> Storage:
    match pid:
        case ("storage", str(dtype), str(key), _, int(length), *rest) if not any(part is not None for part in rest):
            if dtype in _DTYPES:
                return Storage(key, _DTYPES[dtype], length)
            raise UnreadablePickle(f"a storage of {shown(dtype)}; allowed: {', '.join(_DTYPES)}")
    raise UnreadablePickle("a storage that no table of weights needs")


def _array(view: View, elements: npt.NDArray[Any]) -> npt.NDArray[Any]:
    size = elements.itemsize
    strides = [stride * size for stride in view.strides]
    # numpy refuses a view beyond its buffer, so that offsets and strides from the file need no check of their own.
    return np.ascontiguousarray(np.ndarray(view.shape, elements.dtype, elements.data, view.offset * size, strides))
