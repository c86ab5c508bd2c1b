"""Profiles as bytes: plain data is written, and read back without running anything that the bytes hold.

Only plain data comes back: tensors, arrays, numbers, strings, and lists, tuples and dicts of them.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

_ARRAY, _IS_SCALAR = "prefbench array", "prefbench scalar"


class NotPlainError(ValueError):
    """The payload holds something else than plain data, or its bytes are damaged."""


def dump(payload: Any) -> bytes:
    """The payload as bytes; whether it is plain data shows when they are parsed.

    Raises:
        NotPlainError: the payload does not pickle.
    """
    import torch

    stream = io.BytesIO()
    try:
        torch.save(_as_tensors(payload), stream)
    except Exception as error:
        raise NotPlainError(_first_line(error)) from error
    return stream.getvalue()


def parse(data: bytes) -> Any:
    """The payload of `dump`, tensors on the CPU.

    Raises:
        NotPlainError: the bytes hold other classes, are damaged, or are hostile.
    """
    import torch

    try:
        _check_sums(data)
        return _as_arrays(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except Exception as error:  # bytes from outside can make the unpickler raise anything
        raise NotPlainError(_first_line(error)) from error


def parse_own(data: bytes, device: str) -> Any:
    """The payload of a `dump` by another process of this very run, of any class; never of bytes from outside.

    What lay on an accelerator arrives on `device`. Raises `NotPlainError` where this process cannot make it.
    """
    import torch

    restored: Any = torch.serialization.default_restore_location

    def placed(storage: Any, place: str) -> Any:
        return restored(storage, "cpu" if place == "cpu" else device)

    try:
        return _as_arrays(torch.load(io.BytesIO(data), map_location=placed, weights_only=False))
    except Exception as error:
        raise NotPlainError(_first_line(error)) from error


def _as_tensors(payload: Any) -> Any:
    """Arrays as marked tensors: an unpickler that may build numpy's types lets bytes rewrite `float64` itself."""
    if type(payload) is np.ndarray or isinstance(payload, np.generic):
        return _as_tensor(payload)
    if type(payload) is dict:
        return {key: _as_tensors(value) for key, value in payload.items()}
    return type(payload)(map(_as_tensors, payload)) if type(payload) in (list, tuple) else payload


def _as_tensor(array: Any) -> Any:
    """An array or a scalar of numpy as a marked tensor; as it is where torch has no such type."""
    import torch

    try:
        return {_ARRAY: torch.from_numpy(np.array(array)), _IS_SCALAR: isinstance(array, np.generic)}
    except (TypeError, ValueError):
        return array


def _as_arrays(stored: Any) -> Any:
    if type(stored) is dict and _ARRAY in stored:
        array = stored[_ARRAY].numpy()
        return array[()] if stored[_IS_SCALAR] else array
    if type(stored) is dict:
        return {key: _as_arrays(value) for key, value in stored.items()}
    return type(stored)(map(_as_arrays, stored)) if type(stored) in (list, tuple) else stored


def _check_sums(data: bytes) -> None:
    """torch writes the archive's checksums and does not read them: a flipped bit would be drawn with."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
