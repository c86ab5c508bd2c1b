"""Tastes that a history leaves possible, and the style that is best for them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.taste import Subjects, Taste
from prefbench.suites.picturebook.world.axes import AXIS, STYLE_NAMES, Content


class Believed(NamedTuple):
    """One taste that a history leaves possible, and the one for its subjects, if it has any."""

    taste: Taste
    subjects: Subjects | None = None
    bound: Taste | None = None

    def on(self, content: Content | None) -> Taste:
        """What counts for a content."""
        if self.subjects is None or self.bound is None or content is None or content not in self.subjects:
            return self.taste
        return self.bound


@dataclass(frozen=True)
class Posterior:
    """Tastes drawn from the posterior, and the most probable one that the search met."""

    draws: tuple[Believed, ...]
    map: Taste

    def mean_utility(self, content: Content | None = None) -> FloatArray:
        """Posterior mean utility of every style for a content, shape (values of axis 1, ..., values of axis 9).

        Without a content tastes that are bound to subjects do not count.
        """
        moved = [one.on(content) for one in self.draws if one.on(content) is not one.taste]
        total = self._sum
        if moved:
            total = total + _sum_of(moved) - _sum_of([d.taste for d in self.draws if d.on(content) is not d.taste])
        return np.asarray(total / len(self.draws))

    @cached_property
    def _sum(self) -> FloatArray:
        return _sum_of([one.taste for one in self.draws])

    def best_style(self, content: Content | None = None, asked: Mapping[str, int] | None = None) -> tuple[int, ...]:
        """The style of highest posterior mean utility, among those with the `asked` values on their axes."""
        mean = self.mean_utility(content)
        for axis, value in (asked or {}).items():
            position = STYLE_NAMES.index(axis)
            others = np.arange(len(AXIS[axis])) != value
            mean = np.where(others.reshape(_along(position)), -np.inf, mean)
        return tuple(int(i) for i in np.unravel_index(int(mean.argmax()), mean.shape))


def _along(position: int) -> tuple[int, ...]:
    return tuple(-1 if i == position else 1 for i in range(len(STYLE_NAMES)))


def _sum_of(tastes: Sequence[Taste]) -> FloatArray:
    """The sum of utilities of every style, (values of axis 1, ..., values of axis 9)."""
    tables: dict[tuple[str, ...], FloatArray] = {}
    beside = {name: np.zeros(len(AXIS[name])) for name in STYLE_NAMES}
    for taste in tastes:
        tables[taste.axes] = taste.table + tables.get(taste.axes, 0.0)
        for leaning in taste.common:
            beside[leaning.axis] += leaning.scores
    total = np.zeros(tuple(len(AXIS[name]) for name in STYLE_NAMES))
    for axes, table in tables.items():
        total += table.reshape(tuple(len(AXIS[name]) if name in axes else 1 for name in STYLE_NAMES))
    for position, name in enumerate(STYLE_NAMES):
        if beside[name].any():
            total += beside[name].reshape(_along(position))
    return total
