"""Keeps what methods make of a history on disk, and reads it back without running anything it holds.

Only plain data comes back: tensors, arrays, numbers, strings, and lists, tuples and dicts of them.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

_DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")


class NotPlainError(ValueError):
    """The payload holds something else than plain data."""


def dump(payload: Any) -> bytes:
    """The payload as bytes. Raises `NotPlainError` for one that `parse` would not give back."""
    import torch

    stream = io.BytesIO()
    torch.save(payload, stream)
    parse(stream.getvalue())
    return stream.getvalue()


def parse(data: bytes) -> Any:
    """The payload of `dump`, tensors on the CPU. Raises `NotPlainError` for other classes and for damaged bytes."""
    import torch

    arrays = [np.ndarray, np.dtype, np._core.multiarray._reconstruct, np._core.multiarray.scalar]  # type: ignore[attr-defined]
    try:
        with torch.serialization.safe_globals([*arrays, *(type(np.dtype(name)) for name in _DTYPES)]):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise NotPlainError(str(error).partition("\n")[0]) from error
