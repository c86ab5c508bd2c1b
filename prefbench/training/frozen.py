"""Keeps what a task uses but does not train out of its checkpoints."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from torch import nn

M = TypeVar("M")


class Frozen(Generic[M]):
    """Holds a module that a task uses as it is.

    No submodule: it is neither stored, nor moved to another device, nor put into training mode, where dropout and batch
    statistics would change what it gives.
    """

    def __init__(self, module: M) -> None:
        self.module = module


def store_trained_alone(task: nn.Module) -> None:
    """Lets `state_dict` hold what is trained and the buffers, and `load_state_dict` accept that.

    For tasks that train a few layers of a large model: 8 B frozen weights would be 16 GB per checkpoint.
    """
    task.register_state_dict_post_hook(_keep_trained)  # type: ignore[no-untyped-call]
    task.register_load_state_dict_post_hook(_allow_missing_frozen)  # type: ignore[no-untyped-call]


def _trained(task: nn.Module) -> set[str]:
    return {name for name, parameter in task.named_parameters() if parameter.requires_grad}


def _keep_trained(task: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    """Drops frozen weights, and the second names of tied ones, which `named_parameters` gives once."""
    stored = _trained(task) | {name for name, _ in task.named_buffers()}
    for name in [name for name in state if name.removeprefix(prefix) not in stored]:
        del state[name]


def _allow_missing_frozen(task: nn.Module, keys: Any) -> None:
    trained = _trained(task)
    for name in [name for name in keys.missing_keys if name not in trained]:
        keys.missing_keys.remove(name)
