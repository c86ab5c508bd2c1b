"""Weights of published scorers, read without executing any code in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefbench.api import PrefbenchError
from prefbench.models import hub

if TYPE_CHECKING:
    import torch


def digest(files: Iterable[tuple[Path, Iterable[str]]]) -> str:
    """SHA-256 over files by their names, of one folder or several."""
    paths: dict[Path, set[Path]] = {}
    for folder, names in files:
        paths.setdefault(folder, set()).update(folder / name for name in names)
    return hub.digest(paths)


def read_tensors(name: str, file: Path, *, stand_ins: Mapping[str, type] | None = None) -> Any:
    """Loads tensors and plain data that `torch.save` wrote: other pickles are refused before their code runs.

    Args:
        stand_ins: full names of classes to empty ones that take their objects' attributes.

    Raises:
        PrefbenchError: a file that is damaged or asks for any other object.
    """
    import torch

    allowed: list[Any] = [(stand_in, known_as) for known_as, stand_in in (stand_ins or {}).items()]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise PrefbenchError(
            f"scorer {name!r}: {file} holds something else than tensors and is not opened: {reason}"
        ) from error


def state_dict(name: str, content: Any, file: Path) -> dict[str, torch.Tensor]:
    """The content as names to tensors. Raises `PrefbenchError` for anything else."""
    import torch

    tensors = content.values() if isinstance(content, Mapping) else ()
    if not tensors or not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise PrefbenchError(f"scorer {name!r}: {file} holds no state dict, which is names to tensors")
    return {str(key): tensor for key, tensor in content.items()}


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with a prefix, by what follows it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@contextmanager
def fitting(name: str, file: Path) -> Iterator[None]:
    """Context of building a network from a file: any error of the libraries becomes one line that names the file."""
    try:
        yield
    except PrefbenchError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:240]
        raise PrefbenchError(f"scorer {name!r}: {file} does not fit its network: {reason}") from error
