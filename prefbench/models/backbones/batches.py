"""Cuts batches for calls of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from prefbench.api import PrefbenchError

_PIXELS = {"cpu": 8 * 32**2}
"""Pixels that a device draws together: more take as long for each (miniature: 0.11 s of a core for 8 and for 100)."""
_ELSEWHERE, _MOST = 4 * 1024**2, 100


def usual_batch(device: torch.device, resolution: int) -> int:
    """How many pictures are drawn together unless a batch is given: few enough that a stop loses seconds of work.

    Example:
        >>> [usual_batch(torch.device(name), side) for name in ("cpu", "cuda") for side in (32, 512, 1024)]
        [8, 1, 1, 100, 16, 4]
    """
    return min(max(_PIXELS.get(device.type, _ELSEWHERE) // resolution**2, 1), _MOST)


def rows_of(arguments: Mapping[str, Any], start: int, stop: int, total: int) -> dict[str, Any]:
    """The arguments of a batch of `total` samples, cut to the samples `start` to `stop`.

    Tensors, alone or in lists and mappings, are batch first: (total, …), one row per sample; (2 * total, …), the
    unconditional rows of classifier-free guidance before the conditional ones; or (1, …), shared by all. Everything
    else is shared.

    Raises:
        PrefbenchError: a tensor with another first dimension.
    """
    return {name: _cut(value, name, slice(start, stop), total) for name, value in arguments.items()}


def _cut(value: Any, name: str, rows: slice, total: int) -> Any:
    if isinstance(value, Tensor):
        return _cut_tensor(value, name, rows, total)
    if isinstance(value, Mapping):
        return {key: _cut(entry, f"{name}[{key!r}]", rows, total) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cut(entry, f"{name}[{i}]", rows, total) for i, entry in enumerate(value))
    return value


def _cut_tensor(tensor: Tensor, name: str, rows: slice, total: int) -> Tensor:
    length = tensor.shape[0] if tensor.ndim else 1
    if length == total:
        return tensor[rows]
    if length == 2 * total:
        return torch.cat([half[rows] for half in tensor.chunk(2)])
    if length == 1:
        return tensor
    raise PrefbenchError(f"{name} has {length} rows for {total} samples; it needs {total}, {2 * total} or 1")
