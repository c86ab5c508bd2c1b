"""Tastes that a history leaves possible, and the style that is best for them together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.taste import Taste
from prefbench.suites.picturebook.world.axes import AXIS, STYLE_NAMES, Content


class Posterior(ABC):
    """What a history leaves possible."""

    @abstractmethod
    def mean_utility(self, content: Content | None = None) -> FloatArray:
        """Posterior mean utility of every style for a content, shape (values of axis 1, ..., values of axis 9).

        Without a content tastes that are bound to subjects do not count.
        """

    def best_style(self, content: Content | None = None, asked: Mapping[str, int] | None = None) -> tuple[int, ...]:
        """The style of highest posterior mean utility, among those with the `asked` values on their axes."""
        mean = self.mean_utility(content)
        for axis, value in (asked or {}).items():
            position = STYLE_NAMES.index(axis)
            others = np.arange(len(AXIS[axis])) != value
            mean = np.where(others.reshape(_along(position)), -np.inf, mean)
        return tuple(int(i) for i in np.unravel_index(int(mean.argmax()), mean.shape))


@dataclass(frozen=True)
class Draws(Posterior):
    """Tastes drawn from the posterior of a world without subjects, and the most probable one that the search met."""

    draws: tuple[Taste, ...]
    map: Taste

    def mean_utility(self, content: Content | None = None) -> FloatArray:  # noqa: ARG002
        return np.asarray(_sum_of(self.draws) / len(self.draws))


def _along(position: int) -> tuple[int, ...]:
    return tuple(-1 if i == position else 1 for i in range(len(STYLE_NAMES)))


def _sum_of(tastes: Sequence[Taste]) -> FloatArray:
    """The sum of utilities of every style, (values of axis 1, ..., values of axis 9)."""
    tables: dict[tuple[str, ...], FloatArray] = {}
    for taste in tastes:
        tables[taste.axes] = taste.table + tables.get(taste.axes, 0.0)
    total = np.zeros(tuple(len(AXIS[name]) for name in STYLE_NAMES))
    for axes, table in tables.items():
        total += table.reshape(tuple(len(AXIS[name]) if name in axes else 1 for name in STYLE_NAMES))
    return total
