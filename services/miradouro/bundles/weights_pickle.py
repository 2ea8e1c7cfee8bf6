"""Reads the pickles of a PyTorch state dict as data: a machine for the opcodes of such files, which calls no function.

`pickle.Unpickler` is not safe for untrusted files, however few globals it resolves: a few bytes make it reserve gigabytes (a
memo index), and nested tuples as a dictionary's key overflow the interpreter's stack. Here keys are text, memo entries are
counted, and only text and numbers are hashed, compared or printed. Opcodes: `pickletools` of the standard library.
"""

import struct
from collections.abc import Callable
from typing import IO, Any

MAX_OPERATIONS = 200_000  # a table of 296 tensors takes 10,696
MAX_NAME_BYTES = 200  # of a module or a function
MAX_TEXT_BYTES = 65_536  # the name of a tensor has 60
_MARK = object()
_CONSTANTS: dict[bytes, Callable[[], Any]] = {
    b"N": lambda: None,
    b"\x88": lambda: True,
    b"\x89": lambda: False,
    b"}": dict,
    b"]": list,
    b")": tuple,
}
_NUMBERS = {b"K": struct.Struct("<B"), b"M": struct.Struct("<H"), b"J": struct.Struct("<i")}
# The size comes first. Python 2 wrote texts as T and U.
_TEXTS = {b"X": struct.Struct("<I"), b"\x8c": struct.Struct("<B"), b"T": struct.Struct("<I"), b"U": struct.Struct("<B")}
_PUTS = {b"q": struct.Struct("<B"), b"r": struct.Struct("<I")}
_GETS = {b"h": struct.Struct("<B"), b"j": struct.Struct("<I")}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PROTOCOL, _STOP = b"\x80", b"."
_CALLS = (b"R", b"\x81")  # of a function; of a class


class UnreadablePickle(ValueError):
    """The bytes are not a pickle of a table of weights."""


def read_pickle(
    stream: IO[bytes],
    *,
    call: Callable[[str, tuple[Any, ...]], Any],
    persistent: Callable[[Any], Any],
    fill: Callable[[Any, Any], None],
) -> Any:
    """The value of the next pickle of `stream`; the stream is left at the end of it.

    A global is read as the text `module.name`. Where the pickle calls one, `call` returns the result for its name and arguments;
    `persistent` returns the object of a persistent id; `fill` receives an object and the state that the pickle gives it. Raises
    UnreadablePickle, and what these three raise.
    """
    machine = _Machine(stream, call, persistent, fill)
    try:
        for _ in range(MAX_OPERATIONS):
            code = _read(stream, 1)
            if code == _STOP:
                [value] = machine.stack
                return value
            machine.run(code)
    except (IndexError, KeyError, TypeError, AttributeError, ValueError) as exc:
        raise UnreadablePickle(f"{type(exc).__name__}: {exc!s:.200}") from exc
    raise UnreadablePickle(f"more than {MAX_OPERATIONS:,} operations")


class _Machine:
    def __init__(
        self,
        stream: IO[bytes],
        call: Callable[[str, tuple[Any, ...]], Any],
        persistent: Callable[[Any], Any],
        fill: Callable[[Any, Any], None],
    ) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._stream, self._call, self._persistent, self._fill = stream, call, persistent, fill

    def run(self, code: bytes) -> None:
        stack = self.stack
        if code in _NUMBERS:
            stack.append(self._number(_NUMBERS[code]))
        elif code in _TEXTS:
            stack.append(_read(self._stream, self._number(_TEXTS[code])).decode())
        elif code == b"\x8a":
            stack.append(int.from_bytes(_read(self._stream, _read(self._stream, 1)[0]), "little", signed=True))
        elif code in _CONSTANTS:
            stack.append(_CONSTANTS[code]())
        elif code in _TUPLES:
            parts = [stack.pop() for _ in range(_TUPLES[code])]
            stack.append(tuple(reversed(parts)))
        elif code in _PUTS:
            self._memo[self._number(_PUTS[code])] = stack[-1]
        elif code in _GETS:
            stack.append(self._memo[self._number(_GETS[code])])
        elif code == b"(":
            stack.append(_MARK)
        elif code == b"t":
            stack.append(tuple(self._from_mark()))
        elif code == b"c":
            stack.append(f"{self._line()}.{self._line()}")
        elif code in _CALLS:
            arguments = stack.pop()
            stack.append(self._call(stack.pop(), arguments))
        elif code == b"Q":
            stack.append(self._persistent(stack.pop()))
        elif code == b"a":
            self._append([stack.pop()])
        elif code == b"e":
            self._append(self._from_mark())
        elif code == b"s":
            value, key = stack.pop(), stack.pop()
            self._set([key, value])
        elif code == b"u":
            self._set(self._from_mark())
        elif code == b"b":
            state = stack.pop()
            self._fill(stack[-1], state)
        elif code == _PROTOCOL:
            _read(self._stream, 1)
        else:
            raise UnreadablePickle(f"the file uses the opcode {code!r}, which no table of weights needs")

    def _number(self, layout: struct.Struct) -> int:
        (number,) = layout.unpack(_read(self._stream, layout.size))
        return int(number)

    def _line(self) -> str:
        line = self._stream.readline(MAX_NAME_BYTES)
        if not line.endswith(b"\n"):
            raise UnreadablePickle("a name is cut short or too long")
        return line[:-1].decode("ascii")

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


def _read(stream: IO[bytes], size: int) -> bytes:
    """Exactly `size` bytes."""
    if size > MAX_TEXT_BYTES:
        raise UnreadablePickle(f"a text of {size:,} bytes; at most {MAX_TEXT_BYTES:,}")
    data = stream.read(size)
    if len(data) < size:
        raise UnreadablePickle("it is cut short")
    return data
