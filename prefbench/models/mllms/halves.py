"""States of models in half precision, as they are stored."""

from __future__ import annotations

import torch
from torch import Tensor


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state in float16; tied weights stay one tensor, so that they are stored once."""
    halves: dict[tuple[int, torch.Size], Tensor] = {}
    for tensor in state.values():
        key = tensor.data_ptr(), tensor.shape
        if key not in halves:
            halves[key] = tensor.half() if tensor.is_floating_point() else tensor
    return {name: halves[tensor.data_ptr(), tensor.shape] for name, tensor in state.items()}
