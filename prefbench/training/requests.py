"""The request that `prefbench train` makes of every trainer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainRequest:
    """One call of `prefbench train`. A trainer is a function of it, whose keyword-only parameters are those of `-p`."""

    folder: Path
    """Folder of checkpoints, curves and results."""
    images: int | None = None
    """Number of training samples in all; None leaves it to the trainer."""
    install: bool = False
    """Whether the result is copied into the package's weights."""
