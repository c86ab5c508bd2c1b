"""A machine with Apple's GPU, as far as PyTorch's calls can tell: what is sent there is computed on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CPU, MPS = torch.device("cpu"), torch.device("mps")
# Equal to what a mode is handed, but not the same object at each access.
_GET_DEVICE, _SET_DATA = Tensor.device.__get__, Tensor.data.__set__  # type: ignore[attr-defined]
_BETWEEN_DEVICES = (Tensor.cpu, Tensor.to, Tensor.copy_, _SET_DATA, torch._has_compatible_shallow_copy_type)
_NAMING = (torch.device, torch._C._nn._parse_to)
_AS_ARRAY = (Tensor.numpy, Tensor.__array__)


@contextmanager
def apple_machine() -> Iterator[None]:
    """Makes `mps` the best device that is here. Inside, what Apple's GPUs refuse is refused."""
    with (
        mock.patch.object(torch.cuda, "is_available", return_value=False),
        mock.patch.object(torch.backends.mps, "is_available", return_value=True),
        _Apple(),
    ):
        yield


def device_of(tensor: Tensor) -> torch.device:
    """Where the machine believes a tensor to be."""
    return MPS if getattr(tensor, "_on_mps", False) else CPU


class _Apple(TorchFunctionMode):
    """Notes which tensors are on `mps`.

    Raises:
        RuntimeError: tensors of both devices meet in one call, and that on the CPU is no scalar.
        TypeError: a tensor on `mps` becomes float64, or is read as an array.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func == _GET_DEVICE:
            return device_of(args[0]) if device_of(args[0]) == MPS else func(*args)
        if func in _NAMING:
            return func(*args, **options)
        inputs = _tensors([*args, *options.values()])
        on_mps = [tensor for tensor in inputs if device_of(tensor) == MPS]
        if on_mps and func in _AS_ARRAY:
            raise TypeError("can't convert mps tensor to numpy")
        if on_mps and func not in _BETWEEN_DEVICES and any(t.ndim for t in inputs if device_of(t) == CPU):
            raise RuntimeError(f"{func.__name__}: tensors on cpu and mps")
        target = _target(func, args, options, MPS if on_mps else CPU)
        output = func(*map(_on_cpu, args), **{name: _on_cpu(value) for name, value in options.items()})
        if any(output is tensor and device_of(tensor) != target for tensor in inputs):
            output = output.view_as(output)  # a move leaves the original where it is
        for tensor in [args[0]] if func == _SET_DATA else _tensors([output]):
            if target == MPS and tensor.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
            tensor._on_mps = target == MPS  # type: ignore[union-attr]
        return output


def _target(func: Any, args: Sequence[Any], options: Mapping[str, Any], of_inputs: torch.device) -> torch.device:
    """Where the output of a call is."""
    if func == Tensor.cpu:
        return CPU
    if func in (Tensor.copy_, _SET_DATA):
        return device_of(args[0 if func == Tensor.copy_ else 1])
    if func == Tensor.to and len(args) > 1 and isinstance(args[1], Tensor):
        return device_of(args[1])
    named = [value for value in (*args, *options.values()) if isinstance(value, torch.device | str)]
    return next((torch.device(value) for value in named if str(value) in ("cpu", "mps")), of_inputs)


def _on_cpu(value: Any) -> Any:
    return CPU if isinstance(value, torch.device | str) and str(value) == "mps" else value


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    tensors = []
    for value in values:
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, Mapping):
            tensors += _tensors(list(value.values()))
        elif isinstance(value, list | tuple):
            tensors += _tensors(value)
    return tensors
