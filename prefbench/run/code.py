"""What a class runs, read from memory: its code, and the values and functions that its code reaches by name.

Equal descriptions are equal in every process of one Python version: they hold no address, no hash and no set's order.
"""

from __future__ import annotations

import dis
import enum
import hashlib
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from textwrap import shorten
from typing import Any

import numpy as np

from prefbench.api import PrefbenchError

_BY_TEXT = (
    type(None), bool, int, float, complex, str, bytes, type(...), range, slice, PurePath, types.GenericAlias,
    types.UnionType, types.MemberDescriptorType, types.GetSetDescriptorType,
)  # fmt: skip
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)
_CONSTANTS = (tuple, frozenset, types.CodeType)
"""A compiled file may hold two equal ones where a fresh compilation holds one: they are not told apart by identity."""
_HELD = (
    "__func__", "__self__", "__wrapped__", "__code__", "__defaults__", "__kwdefaults__", "fget", "fset", "fdel", "func",
    "args", "keywords", "pattern", "flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags",
    "co_code", "co_exceptiontable", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_consts",
)  # fmt: skip
"""What functions, code, properties, partial functions and patterns are made of."""
_UNREAD = (
    "__dict__", "__weakref__", "__module__", "__doc__", "__annotations__", "__abstractmethods__", "_abc_impl",
    "__dataclass_fields__", "__dataclass_params__", "__firstlineno__", "__static_attributes__", "__slotnames__",
)  # fmt: skip
"""Members of a class that change nothing it runs, or nothing that its other members do not tell."""


def code_hash(constructor: type) -> str:
    """Twelve digits of the SHA-256 of all that a class runs.

    Raises:
        PrefbenchError: the code reaches something that cannot be identified, such as an open file.
    """
    description = _Reader(constructor).describe(constructor, constructor.__qualname__)
    return hashlib.sha256(repr(description).encode()).hexdigest()[:12]


class _Reader:
    """Describes values as nested lists of texts: functions and classes of the class's own package and of files that
    are not installed by what they are made of, those of other packages by name.
    """

    def __init__(self, constructor: type) -> None:
        self._package = constructor.__module__.partition(".")[0]
        self._seen: dict[int, tuple[int, object]] = {}
        """Number in the walk by address, and the object itself, so that no other one gets its address."""

    def describe(self, value: Any, where: str) -> object:
        """A value; `where` is what a refusal names."""
        kind = type(value)
        if isinstance(value, types.ModuleType) or (isinstance(value, _NAMED) and not self._is_own(value)):
            return ["named", str(getattr(value, "__module__", "")), getattr(value, "__qualname__", value.__name__)]
        if kind.__module__ == "dataclasses":  # the marks of its own that it leaves in generated functions
            return kind.__name__
        if isinstance(value, enum.Enum):
            return [kind.__qualname__, value.name, self.describe(value.value, where)]
        if isinstance(value, _BY_TEXT) or kind.__module__ in ("typing", "logging") or kind.__name__ == "_tuplegetter":
            return [kind.__name__, repr(value)]
        if not isinstance(value, _CONSTANTS):
            if id(value) in self._seen:
                return self._seen[id(value)][0]
            self._seen[id(value)] = (len(self._seen), value)
        parts = self._parts(value, where)
        described = [[str(name), self.describe(part, f"{where}.{name}")] for name, part in parts]
        return [kind.__qualname__, *(sorted(described, key=repr) if isinstance(value, set | frozenset) else described)]

    def _is_own(self, value: Any) -> bool:
        module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
        package = (module or "builtins").partition(".")[0]
        file = getattr(sys.modules.get(package), "__file__", None) or ""
        is_installed = package in {*sys.stdlib_module_names, "prefbench"} or "site-packages" in file
        return package == self._package or not is_installed

    def _parts(self, value: Any, where: str) -> Iterator[tuple[object, object]]:
        held = [name for name in _HELD if hasattr(value, name)]
        if isinstance(value, type):
            yield from [("name", value.__qualname__), ("bases", value.__bases__)]
            yield from sorted((name, member) for name, member in vars(value).items() if name not in _UNREAD)
        elif type(value).__module__ in ("builtins", "functools", "re") and held:
            yield from ((name, getattr(value, name)) for name in held)
            yield from self._reached(value) if isinstance(value, types.FunctionType) else ()
        elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            yield from [("dtype", str(value.dtype)), ("shape", value.shape), ("bytes", value.tobytes())]
        elif hasattr(value, "detach") and hasattr(value, "dtype"):  # a tensor; double holds every kind of float
            yield from [("dtype", str(value.dtype)), ("values", value.detach().cpu().double().numpy())]
        elif isinstance(value, list | tuple | set | frozenset | Mapping):
            yield from (("", one) for one in (value.items() if isinstance(value, Mapping) else value))
        elif is_dataclass(value):
            yield from [("class", type(value)), *((one.name, getattr(value, one.name)) for one in fields(value))]
        else:
            what = f"{where.rstrip('.')} is {shorten(repr(value), 60)}, which no run can be named by"
            raise PrefbenchError(f"{what}: make it a parameter of the constructor, or give path/to/file.py:Class")

    def _reached(self, function: types.FunctionType) -> Iterator[tuple[str, object]]:
        """Closure cells, and the globals that the code reads; of a module that is read, the attributes it names."""
        cells = function.__closure__ or ()
        yield from ((name, cell.cell_contents) for name, cell in zip(function.__code__.co_freevars, cells, strict=True))
        steps = [step for code in _codes(function.__code__) for step in dis.get_instructions(code)]
        names = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
        attributes = {step.argval for step in steps if step.opname in ("LOAD_ATTR", "LOAD_METHOD")}
        for name in sorted(names & function.__globals__.keys()):
            yield name, (value := function.__globals__[name])
            if isinstance(value, types.ModuleType) and self._is_own(value):
                yield from ((f"{name}.{one}", vars(value)[one]) for one in sorted(attributes & vars(value).keys()))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those of the functions inside it."""
    yield code
    yield from (one for inner in code.co_consts if isinstance(inner, types.CodeType) for one in _codes(inner))
