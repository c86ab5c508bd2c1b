"""What trained weights were measured to reach: the figures of their cards and of `prefbench check weights`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure with the floor it must reach, where it has one, and the goal beyond.

    `ceiling` turns both into upper bounds.
    """

    name: str
    value: float
    floor: float | None
    goal: float
    ceiling: bool = False

    @property
    def reached(self) -> bool:
        if self.floor is None:
            return True
        return self.value <= self.floor if self.ceiling else self.value >= self.floor
