"""Pickles from outside, of which nothing is ever run: plain containers, texts and numbers, and inert stand-ins.

The unpickler of Python that is written in Python reads here, with a table of opcodes of its own. A name that is allowed
gives a `StandIn`, which imports nothing and only keeps what it is called with; every other name ends the reading. What
a hostile file could swell is bounded: its bytes, its opcodes, what one of them asks for, and how deep containers lie.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from prefbench.api import PrefbenchError
from prefbench.files import open_plain

LARGEST = 2 * 2**30
"""Bytes of a pickle at most: it is held as a whole."""
OPCODES = 30_000_000
"""Opcodes at most; one makes an object of some 60 bytes, beside the bytes that it takes from the file."""
DEEPEST = 50
"""Containers in each other at most."""
_AS_THEY_ARE = (
    "MARK", "STOP", "POP", "POP_MARK", "PROTO", "FRAME", "GLOBAL", "STACK_GLOBAL",
    "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
)  # fmt: skip
_KEYS = (str, bytes, int, float, type(None))
"""What a dictionary is keyed by: the hash of a tuple would be taken as deep as it is nested."""


class StandIn:
    """What stands where an object was: its name, the arguments that made it, its state."""

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name, self.arguments = name, arguments
        self.state: Any = None


def read_pickle(path: Path, allowed: Collection[str] = (), limit: int = LARGEST) -> Any:
    """What a pickle holds, of protocol 2 or later.

    Args:
        path: the file.
        allowed: `module.name` of objects that are read as `StandIn`.
        limit: bytes that are read at most.

    Raises:
        PrefbenchError: it is too large, is no pickle, or holds anything else.
    """
    try:
        with open_plain(path, limit) as stream:
            content = _Reader(_Bounded(stream, path.stat().st_size), allowed).load()
        _check_depth(content)
    except FileNotFoundError:
        raise PrefbenchError(f"there is no {path}") from None
    except PrefbenchError as error:
        raise PrefbenchError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
    except KeyError as error:
        raise PrefbenchError(f"{path}: opcode {error} is none of plain values") from error
    except Exception as error:  # the stack machine raises whatever a wrong stack leads to
        raise PrefbenchError(f"{path} is no pickle of plain values ({type(error).__name__}: {error})") from error
    return content


class _Bounded:
    """A file of which nobody can ask for more than is left."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise PrefbenchError(f"cut short or hostile: it asks for {size:,} bytes of the last {self._left:,}")
        self._left -= size
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline(10_000)
        self._left -= len(line)
        return line


class _Reader(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {}

    def __init__(self, stream: _Bounded, allowed: Collection[str]) -> None:
        super().__init__(stream, encoding="latin1")
        self.allowed, self.steps = allowed, 0

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in self.allowed:
            raise PrefbenchError(f"names {full[:100]}; only plain values are read, and nothing is run")
        return StandIn(full)

    def reduce(self) -> None:
        """`REDUCE` and `NEWOBJ`: the stand-in of what a call would give."""
        arguments, called = self.stack.pop(), self.stack[-1]  # type: ignore[attr-defined]
        self.stack[-1] = StandIn(_stand_in(called).name, tuple(arguments))  # type: ignore[attr-defined]

    def build(self) -> None:
        """`BUILD`: keeps the state."""
        state = self.stack.pop()  # type: ignore[attr-defined]
        _stand_in(self.stack[-1]).state = state  # type: ignore[attr-defined]

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        _put(self.stack[-1], [key, value])  # type: ignore[attr-defined]

    def set_items(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        _put(self.stack[-1], items)  # type: ignore[attr-defined]

    def byte_array(self) -> None:
        size = int.from_bytes(self.read(8), "little")  # type: ignore[attr-defined]
        self.append(self.read(size))  # type: ignore[attr-defined]


def _stand_in(value: object) -> StandIn:
    if not isinstance(value, StandIn):
        raise PrefbenchError(f"calls {type(value).__name__}, which is no name")
    return value


def _put(target: object, items: list[Any]) -> None:
    if not isinstance(target, dict):
        raise PrefbenchError(f"puts items into {type(target).__name__}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, _KEYS):
            raise PrefbenchError(f"has {type(key).__name__} for the key of a dictionary")
        target[key] = value


def _counted(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def counted(reader: _Reader) -> None:
        reader.steps += 1
        if reader.steps > OPCODES:
            raise PrefbenchError(f"has over {OPCODES:,} opcodes")
        load(reader)

    return counted


_OWN: dict[str, Callable[[Any], None]] = {
    "REDUCE": _Reader.reduce,
    "NEWOBJ": _Reader.reduce,
    "BUILD": _Reader.build,
    "SETITEM": _Reader.set_item,
    "SETITEMS": _Reader.set_items,
    "BYTEARRAY8": _Reader.byte_array,
}
_CODES = {name: getattr(pickle, name)[0] for name in (*_AS_THEY_ARE, *_OWN)}
_LOADS = {name: _OWN.get(name) or pickle._Unpickler.dispatch[code] for name, code in _CODES.items()}
_Reader.dispatch = {_CODES[name]: _counted(load) for name, load in _LOADS.items()}


def _check_depth(content: object) -> None:
    """Raises `PrefbenchError` where containers lie deeper in each other than `DEEPEST`, as in a loop."""
    deepest: dict[int, int] = {}
    waiting = [(content, 1)]
    while waiting:
        value, depth = waiting.pop()
        inner = _inside(value)
        if inner is None or deepest.get(id(value), 0) >= depth:
            continue
        if depth > DEEPEST:
            raise PrefbenchError(f"has containers in each other over {DEEPEST} deep")
        deepest[id(value)] = depth
        waiting += [(one, depth + 1) for one in inner if isinstance(one, list | tuple | dict | StandIn)]


def _inside(value: object) -> Collection[Any] | None:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, StandIn):
        return (value.arguments, value.state)
    return value if isinstance(value, list | tuple) else None
