"""The posterior as tastes in rows, each as probable as another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.posterior import Posterior
from prefbench.suites.picturebook.users.sampling import SUBJECTS
from prefbench.suites.picturebook.users.taste_rows import AXIS_OF, STARTS, Sums, TasteRows
from prefbench.suites.picturebook.world.axes import STYLE, Content

_SHAPE = tuple(len(axis) for axis in STYLE)


@dataclass(frozen=True)
class Particles(Posterior):
    """Tastes drawn from the posterior."""

    tastes: TasteRows

    def mean_utility(self, content: Content | None = None) -> FloatArray:
        """All but tastes with a bonus or a second one are sums over axes, and so is their sum."""
        rows = np.flatnonzero(self.tastes.is_kind("subject-bound"))
        if not len(rows):
            return self._unbound / len(self.tastes)
        inside = np.array([content is not None and content in subjects for subjects in SUBJECTS])
        counted = inside[self.tastes.subjects[rows]].astype(np.int64)
        total = self._unbound + _table(self._sums.scores[rows, counted].sum(axis=0))
        return np.asarray((total + self._sums.constant[rows, counted].sum()) / len(self.tastes))

    @cached_property
    def _sums(self) -> Sums:
        return self.tastes.sums()

    @cached_property
    def _unbound(self) -> FloatArray:
        """The sum over the tastes that count for all contents."""
        sums, tastes = self._sums, self.tastes
        unbound, two = ~tastes.is_kind("subject-bound"), tastes.is_kind("two tastes")
        total = _table(sums.scores[unbound & ~two, 0].sum(axis=0)) + sums.constant[unbound, 0].sum()
        for row in np.flatnonzero(sums.bonus):
            total[_where(tastes.bonus[row])] += sums.bonus[row]
        return np.asarray(total + _sum_of_greater(sums.scores[two]))


def _where(columns: NDArray[np.int64]) -> tuple[slice | int, ...]:
    """The styles that have the values of some columns, as an index."""
    values = {int(AXIS_OF[column]): int(column - STARTS[AXIS_OF[column]]) for column in columns}
    return tuple(values.get(axis, slice(None)) for axis in range(len(_SHAPE)))


def _table(scores: FloatArray) -> FloatArray:
    """The sum over the axes for every style."""
    return _flat(scores).reshape(_SHAPE)


def _sum_of_greater(scores: FloatArray) -> FloatArray:
    """The greater of two sums (N, 2, columns) for every style, added up over the rows."""
    total = np.zeros(int(np.prod(_SHAPE)))
    for first, second in scores.astype(np.float32):  # half the memory, where all the time goes
        total += np.maximum(_flat(first), _flat(second))
    return total.reshape(_SHAPE)


def _flat(scores: FloatArray | NDArray[np.float32]) -> FloatArray:
    total = np.zeros(1, dtype=scores.dtype)
    for part in np.split(scores, STARTS[1:]):
        total = np.add.outer(total, part).ravel()
    return total
