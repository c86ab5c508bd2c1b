"""What `prefbench train` was asked for; trainers refuse what they have no use for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefbench.api import PrefbenchError


@dataclass(frozen=True)
class TrainRequest:
    """One call of the verb. None leaves a choice to the trainer."""

    folder: Path
    """Where checkpoints, curves and results go."""
    images: int | None = None
    install: bool = False
    compile_model: bool = False
    suite: str | None = None
    backbone: str | None = None
    mllm: str | None = None
    stage: str | None = None
    image_tower: str | None = None
    """A hub id or a folder in place of the CLIP image tower that belongs to the backbone."""

    def refuse(self, trainer: str, *options: str) -> None:
        """Raises `PrefbenchError` where one of these was given: a trainer that ignored it would mislead."""
        given = [option for option in options if getattr(self, option)]
        if given:
            flags = ", ".join("--" + option.removesuffix("_model").replace("_", "-") for option in given)
            raise PrefbenchError(f"trainer {trainer!r} has no use for {flags}")
