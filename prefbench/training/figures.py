"""Measured quality of trained weights: the figures of their cards and of `prefbench check weights`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class QualityFigure:
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


def as_card(figures: Sequence[QualityFigure]) -> dict[str, dict[str, Any]]:
    """Figures as a card holds them; `ceiling` stands where floor and goal are upper bounds."""
    cells: dict[str, dict[str, Any]] = {}
    for figure in figures:
        cells[figure.name] = {"value": round(figure.value, 4), "floor": figure.floor, "goal": figure.goal}
        if figure.ceiling:
            cells[figure.name]["ceiling"] = True
    return cells
