"""Many tastes at once from the world's prior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.quality import CARE
from prefbench.suites.picturebook.users.sampling import SUBJECTS, sample_leaning, sample_spec
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS
from prefbench.suites.picturebook.users.taste_rows import (
    AXIS_OF,
    GROUP_OF,
    SIZES,
    STARTS,
    Flags,
    TasteRows,
    column_of,
    row_kinds,
    scores_of,
)
from prefbench.suites.picturebook.users.worlds import FIRST, World
from prefbench.suites.picturebook.world.axes import STYLE_NAMES, IntArray

_PROFILES = 800
"""So many draws from each axis's profiles hold all that there are: at most 30."""
GROUP_OF_COLUMN = GROUP_OF[AXIS_OF]
"""The group of each column, an index into `TASTE_GROUPS`."""


def sample_rows(rng: np.random.Generator, n: int, world: World = FIRST) -> TasteRows:
    """Tastes drawn from the world's prior."""
    specs = [sample_spec(rng, "interacting", dict(world.weights)) for _ in range(n)]
    kinds = row_kinds(world)
    shares = np.array([dict(world.kinds)[kind] for kind in kinds])
    first = np.array([scores_of(spec.leanings) for spec in specs])
    bonuses = [spec.bonus for spec in specs if spec.bonus is not None]
    return TasteRows(
        rng.choice(len(kinds), size=n, p=shares / shares.sum()),
        np.stack([first, np.roll(first, 1, axis=0)], axis=1),
        np.array([[column_of(*bonus.first), column_of(*bonus.second)] for bonus in bonuses]),
        np.array([bonus.weight for bonus in bonuses]),
        rng.integers(len(SUBJECTS), size=n),
        world.quality * rng.uniform(*CARE, size=n),
        world,
    )


def sample_profiles(rng: np.random.Generator, n: int) -> FloatArray:
    """Leanings of weight 1 drawn from the world's prior, (axes, n, columns)."""
    return np.array([[scores_of([sample_leaning(rng, name, 1.0)]) for _ in range(n)] for name in STYLE_NAMES])


@cache
def profiles() -> tuple[FloatArray, ...]:
    """What a leaning of weight 1 can be on each axis, (profiles, columns), all equally probable."""
    sampled = sample_profiles(np.random.default_rng(1), _PROFILES)
    return tuple(np.unique(sampled[i], axis=0) for i in range(len(STYLE_NAMES)))


def group_weights(inside: Flags, mean: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Weights (N, axes) of the leanings of one group, by the rule of `sampling.sample_leanings`.

    Args:
        inside: which axes of each row count, (N, axes).
        mean: weight of the group, (N,).
    """
    shares = inside * rng.gamma(4.0, size=inside.shape)
    total = mean * rng.uniform(0.8, 1.2, size=len(mean))
    sums = np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)  # 0 where a group has no weight in a world
    return np.asarray(shares / sums * total[:, None])


@dataclass(frozen=True)
class Prior:
    """Draws from the tastes of one world, by the rules of `sampling.py` for many at once."""

    world: World
    rng: np.random.Generator

    def tastes(self, n: int) -> TasteRows:
        """N tastes."""
        return TasteRows(
            self.kinds(n),
            np.stack([self.leanings(n), self.leanings(n)], axis=1),
            *self.bonuses(n),
            self.subjects(n),
            self.care(n),
            self.world,
        )

    @property
    def shares(self) -> FloatArray:
        """Of the kinds, in the order of `row_kinds`."""
        shares = np.array([dict(self.world.kinds)[kind] for kind in row_kinds(self.world)])
        return np.asarray(shares / shares.sum())

    def kinds(self, n: int) -> IntArray:
        """(N,), indices into `row_kinds`."""
        return self.rng.choice(len(self.shares), size=n, p=self.shares)

    def leanings(self, n: int) -> FloatArray:
        """Scores (N, columns)."""
        weights = np.zeros((n, len(STYLE_NAMES)))
        for group, name in enumerate(TASTE_GROUPS):
            axes = np.flatnonzero(group == GROUP_OF)
            count = self.rng.integers(1, min(len(axes), 2) + 1, size=(n, 1))
            inside = self.rng.random((n, len(axes))).argsort(axis=1) < count
            weights[:, axes] = group_weights(inside, np.full(n, dict(self.world.weights)[name]), self.rng)
        scores = np.zeros((n, len(AXIS_OF)))
        for axis, values in enumerate(profiles()):
            scores += weights[:, [axis]] * values[self.rng.integers(len(values), size=n)]
        return scores

    def bonuses(self, n: int) -> tuple[IntArray, FloatArray]:
        """Columns (N, 2) of two different worded axes, and weights (N,)."""
        worded = np.flatnonzero(TASTE_GROUPS.index("worded") == GROUP_OF)
        axes = worded[self.rng.random((n, len(worded))).argsort(axis=1)[:, :2]]
        columns = STARTS[axes] + self.rng.integers(SIZES[axes])
        return columns, np.full(n, dict(self.world.weights)["worded"])

    def subjects(self, n: int) -> IntArray:
        """(N,), indices into `SUBJECTS`."""
        return self.rng.integers(len(SUBJECTS), size=n)

    def care(self, n: int) -> FloatArray:
        """(N,), what a strong defect costs."""
        return np.asarray(self.world.quality * self.rng.uniform(*CARE, size=n))
