"""What a method offers to `prefbench ablate`: its variants, and what it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE = "whole"
"""The name of the variant that nothing was left out of."""


@dataclass(frozen=True)
class AblationRequest:
    """One call of the verb. None leaves a choice to the method."""

    folder: Path
    """Of the finished training whose parts are left out; variants and their runs go into `ablation/` there."""
    images: int | None = None
    """What every variant is trained on, the whole method among them."""
    suite: str | None = None
    backbone: str | None = None
    split: str = "val"
    users: int | None = None
    samples: int = 1
    """Of each case."""

    @property
    def work(self) -> Path:
        """Where variants and their runs go."""
        return self.folder / "ablation"


@dataclass(frozen=True)
class Variant:
    """One way to draw. `group` names what is varied; parameters are as on the command line."""

    group: str
    name: str
    parameters: Mapping[str, Any]
    weights: Path | None = None
    """What it draws with, where it was trained apart; the whole method's otherwise."""


@dataclass(frozen=True)
class Ablation:
    """The variants of a method, the whole one first, and what every training of them saw."""

    variants: Sequence[Variant]
    training: Mapping[str, Any]
    defaults: Mapping[str, float]
    """The whole method's own values of parameters that are swept."""
    backbone: str | None = None
    """What all were trained for and are drawn on; None for the suite's."""
