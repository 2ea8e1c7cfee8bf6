"""Reads the pickles of a PyTorch state dict as data: a machine for the opcodes that such files use, which calls nothing.

`pickle.Unpickler` is no reader for files of strangers, however few globals it resolves: a few bytes make it reserve gigabytes (a
memo index), and nested tuples as a key of a dictionary overflow the stack of the interpreter. Here keys are text, memo entries
are counted, and nothing is hashed, compared or printed but text and numbers.
"""

import pickletools
from collections.abc import Callable
from typing import IO, Any

MAX_OPERATIONS = 200_000  # a table of 296 tensors takes 10,696
_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_VALUES = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class UnreadablePickle(ValueError):
    """The bytes are no pickle that a table of weights needs."""


def read_pickle(stream: IO[bytes], *, call: Callable[[str, tuple[Any, ...]], Any], persistent: Callable[[Any], Any]) -> Any:
    """The value of the next pickle of `stream`, which then stands behind it.

    A global stays a text, `module.name`; where the pickle calls one, `call` gives the result for its name and arguments, and
    `persistent` the one for a persistent id. Raises UnreadablePickle, and what these two raise.
    """
    machine = _Machine(call, persistent)
    try:
        for number, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if number == MAX_OPERATIONS:
                raise UnreadablePickle(f"more than {MAX_OPERATIONS:,} operations")
            machine.run(operation.name, argument)
        [value] = machine.stack
    except (IndexError, KeyError, TypeError, AttributeError, ValueError) as exc:
        raise UnreadablePickle(f"{type(exc).__name__}: {exc!s:.200}") from exc
    return value


class _Machine:
    def __init__(self, call: Callable[[str, tuple[Any, ...]], Any], persistent: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._call, self._persistent = call, persistent

    def run(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            parts = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(reversed(parts)))
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self._memo[argument] = stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "TUPLE":
            stack.append(tuple(self._from_mark()))
        elif name == "GLOBAL":
            stack.append(argument.replace(" ", ".", 1))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(self._call(stack.pop(), arguments))
        elif name == "BINPERSID":
            stack.append(self._persistent(stack.pop()))
        elif name == "APPEND":
            self._append([stack.pop()])
        elif name == "APPENDS":
            self._append(self._from_mark())
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            self._set([key, value])
        elif name == "SETITEMS":
            self._set(self._from_mark())
        elif name == "BUILD":
            stack.pop()  # attributes of the dictionary: versions of the layers, which nothing here reads
        elif name not in {"PROTO", "STOP"}:
            raise UnreadablePickle(f"the file uses {name}, which no table of weights needs")

    def _from_mark(self) -> list[Any]:
        parts = []
        while (part := self.stack.pop()) is not _MARK:
            parts.append(part)
        return parts[::-1]

    def _append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise UnreadablePickle(f"it appends to a {type(target).__name__}")
        target.extend(values)

    def _set(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise UnreadablePickle(f"it sets an item of a {type(target).__name__}")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if type(key) is not str:
                raise UnreadablePickle(f"a key is a {type(key).__name__}; allowed: text")
            target[key] = value
