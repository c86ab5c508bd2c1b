"""The variants that a method offers to `prefbench ablate`, and the request for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE = "whole"
"""The name of the variant of the whole method."""


@dataclass(frozen=True)
class AblationRequest:
    """One call of `prefbench ablate`. None leaves a choice to the method."""

    folder: Path
    """Folder of the finished training to ablate; variants and their runs go into `ablation/` there."""
    images: int | None = None
    """Number of images that every variant, the whole method among them, is trained on."""
    suite: str | None = None
    backbone: str | None = None
    split: str = "val"
    users: int | None = None
    samples: int = 1
    """Samples per case."""

    @property
    def work(self) -> Path:
        """Folder of variants and their runs."""
        return self.folder / "ablation"


@dataclass(frozen=True)
class Variant:
    """One way to draw. `group` names what is varied; parameters are as on the command line."""

    group: str
    name: str
    parameters: Mapping[str, Any]
    weights: Path | None = None
    """Folder of its weights where it was trained separately; None for the whole method's."""


@dataclass(frozen=True)
class Ablation:
    """The variants of a method, the whole one first, and the data that all were trained on."""

    variants: Sequence[Variant]
    training: Mapping[str, Any]
    defaults: Mapping[str, float]
    """The whole method's own values of parameters that are swept."""
    backbone: str | None = None
    """The backbone that all were trained for and draw with; None for the suite's."""
