"""Rows of a pickled pandas `DataFrame`, read from what its pickle holds: neither pandas nor NumPy loads it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prefbench.api import PrefbenchError
from prefbench.suites.converters.readers.rows import Row, check_columns
from prefbench.suites.converters.readers.unpickle import StandIn, read_pickle

_NUMPY = [f"numpy.{home}" for home in ("core", "_core")]
_ARRAY = {f"{home}.multiarray._reconstruct" for home in _NUMPY}
_BUFFER = {f"{home}.numeric._frombuffer" for home in _NUMPY}
_SCALAR = {f"{home}.multiarray.scalar" for home in _NUMPY}
_FRAME = {"pandas.core.frame.DataFrame", "pandas.DataFrame"}
_MANAGER = {"pandas.core.internals.managers.BlockManager"}
_BLOCK = {"pandas._libs.internals._unpickle_block", "pandas.core.internals.blocks.new_block", "functools.partial"}
_INDEX = {"pandas.core.indexes.base._new_Index"}
_TYPES = {
    "numpy.ndarray", "numpy.dtype", "builtins.slice", "pandas.core.indexes.base.Index", "pandas.Index",
    "pandas.core.indexes.range.RangeIndex", "pandas.RangeIndex", "pandas.core.indexes.numeric.Int64Index",
}  # fmt: skip
ALLOWED = frozenset().union(_ARRAY, _BUFFER, _SCALAR, _FRAME, _MANAGER, _BLOCK, _INDEX, _TYPES)
"""The names that the pickle of a `DataFrame` of texts, numbers, bytes and lists holds, of pandas 1.3 to 3."""
_NUMBERS = {"b1", "f2", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f4", "f8"}
"""NumPy's codes of the numbers whose bytes are read."""


def read_frame(path: Path, needed: Sequence[str]) -> Iterator[Row]:
    """The rows of a pickled `DataFrame`, counted from 1; lists and arrays in cells are lists.

    Raises:
        PrefbenchError: what `read_pickle` raises, a layout that is not known, or a column that is missing.
    """
    columns = _columns(path, read_pickle(path, ALLOWED))
    check_columns(path, list(columns), needed)
    for n, values in enumerate(zip(*(columns[name] for name in needed), strict=True), 1):
        yield Row(path, n, {name: _plain(path, value) for name, value in zip(needed, values, strict=True)})


def _columns(path: Path, frame: object) -> dict[str, list[Any]]:
    state = frame.state if isinstance(frame, StandIn) and frame.name in _FRAME else None
    manager = state.get("_mgr", state.get("_data")) if isinstance(state, dict) else None
    if not isinstance(manager, StandIn) or manager.name not in _MANAGER or len(manager.arguments) < 2:
        raise _strange(path, "it holds no DataFrame")
    blocks, axes = manager.arguments[:2]
    names, columns = _index(path, axes[0]), {}
    for block in blocks:
        if not isinstance(block, StandIn) or block.name not in _BLOCK or len(block.arguments) < 2:
            raise _strange(path, "a block of columns is not known")
        values, places = block.arguments[:2]
        rows = _array(path, values)
        for place, row in zip(_places(path, places), rows, strict=True):
            columns[str(names[place])] = row
    return columns


def _index(path: Path, index: object) -> list[Any]:
    """The labels of an axis."""
    if not isinstance(index, StandIn) or index.name not in _INDEX or not isinstance(index.arguments[-1], dict):
        raise _strange(path, "the names of the columns are not known")
    return _array(path, index.arguments[-1].get("data"))


def _places(path: Path, places: object) -> list[int]:
    """Which columns a block has: a slice, or an array of numbers."""
    if isinstance(places, StandIn) and places.name == "builtins.slice":
        start, stop, step = places.arguments
        return list(range(start or 0, stop, step or 1))
    return _array(path, places)


def _array(path: Path, array: object) -> list[Any]:
    """An array as nested lists."""
    if not isinstance(array, StandIn):
        raise _strange(path, f"an array is {type(array).__name__}")
    if array.name in _ARRAY and isinstance(array.state, tuple) and len(array.state) == 5:
        _, shape, kind, is_fortran, content = array.state
    elif array.name in _BUFFER and len(array.arguments) == 4:
        content, kind, shape, order = array.arguments
        is_fortran = order == "F"
    else:
        raise _strange(path, f"{array.name} is no array that is known")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise _strange(path, "the shape of an array is none")
    flat = content if isinstance(content, list) else _numbers(path, kind, content)
    if len(flat) != math.prod(shape) or len(shape) not in (1, 2):
        raise _strange(path, f"an array of shape {shape} holds {len(flat)} values")
    return _shaped(flat, shape, fortran=bool(is_fortran))


def _shaped(flat: list[Any], shape: tuple[int, ...], *, fortran: bool) -> list[Any]:
    if len(shape) == 1:
        return flat
    height, width = shape
    if not fortran:
        return [flat[i * width : (i + 1) * width] for i in range(height)]
    return [flat[i::height] for i in range(height)]


def _numbers(path: Path, kind: object, content: object) -> list[Any]:
    """Numbers from their bytes."""
    code = kind.arguments[0] if isinstance(kind, StandIn) and kind.name == "numpy.dtype" and kind.arguments else None
    order = kind.state[1] if isinstance(kind, StandIn) and isinstance(kind.state, tuple) else "<"
    if not isinstance(code, str) or code not in _NUMBERS:
        raise _strange(path, f"numbers of type {str(code)[:20]}")
    data = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(data, bytes):
        raise _strange(path, "numbers are no bytes")
    numbers: list[Any] = np.frombuffer(data, np.dtype(code).newbyteorder(">" if order == ">" else "<")).tolist()
    return numbers


def _plain(path: Path, value: object) -> object:
    """A cell: arrays in it as lists, numbers of NumPy as numbers."""
    if isinstance(value, list | tuple):
        return [_plain(path, one) for one in value]
    if not isinstance(value, StandIn):
        return value
    if value.name in _SCALAR:
        return _numbers(path, *value.arguments)[0]
    return [_plain(path, one) for one in _array(path, value)]


def _strange(path: Path, what: str) -> PrefbenchError:
    return PrefbenchError(
        f"{path}: {what}; a DataFrame of pandas 1.3 or later is read whose texts have the type object"
    )
