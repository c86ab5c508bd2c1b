"""Changes of tastes that leave the prior as it is: one component is drawn again.

Components that do not count, such as the bonus of a taste of another kind, are drawn again with the kind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.prior import GROUP_OF_COLUMN, Prior, group_weights, profiles
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS
from prefbench.suites.picturebook.users.taste_rows import AXIS_OF, GROUP_OF, STARTS, Flags, TasteRows
from prefbench.suites.picturebook.users.worlds import World
from prefbench.suites.picturebook.world.axes import IntArray


class _Move(NamedTuple):
    """Which rows redraw which component, as indices."""

    kind: IntArray
    care: IntArray
    bonus: IntArray
    subjects: IntArray
    group: IntArray
    leaning: IntArray
    weights: IntArray


_SHARES = _Move(*np.array([0.06, 0.06, 0.12, 0.12, 0.24, 0.4, 0.2]))
"""How often each component is drawn again; of the bonus and the subjects only where they count."""


def redrawn(tastes: TasteRows, prior: Prior, *, same_kind: bool = False) -> TasteRows:
    """The tastes with one component drawn again from the prior, in each row another one by chance."""
    rng, move = prior.rng, _choose(tastes, prior.rng, same_kind=same_kind)
    kind, care, leanings = tastes.kind.copy(), tastes.care.copy(), tastes.leanings.copy()
    bonus, weight, subjects = tastes.bonus.copy(), tastes.weight.copy(), tastes.subjects.copy()
    kind[move.kind] = prior.kinds(len(move.kind))
    care[move.care] = prior.care(len(move.care))
    rows = np.union1d(move.bonus, move.kind[~tastes.is_kind("interacting")[move.kind]])
    bonus[rows], weight[rows] = prior.bonuses(len(rows))
    rows = np.union1d(move.subjects, move.kind[~tastes.is_kind("subject-bound")[move.kind]])
    subjects[rows] = prior.subjects(len(rows))
    counts = tastes.second_counts
    rows = move.kind[~counts[move.kind]]
    leanings[rows, 1] = prior.leanings(len(rows))
    side = np.where(counts, rng.integers(2, size=len(tastes)), 0)
    at = (move.group, side[move.group])
    leanings[at] = _redraw_group(leanings[at], prior)
    at = (move.leaning, side[move.leaning])
    leanings[at] = _redraw_leaning(leanings[at], rng)
    at = (move.weights, side[move.weights])
    leanings[at] = _redraw_weights(leanings[at], tastes.world, rng)
    return TasteRows(kind, leanings, bonus, weight, subjects, care, tastes.world)


def _choose(tastes: TasteRows, rng: np.random.Generator, *, same_kind: bool) -> _Move:
    shares = np.tile(_SHARES, (len(tastes), 1))
    shares[:, _Move._fields.index("kind")] *= not same_kind
    shares[~tastes.is_kind("interacting"), _Move._fields.index("bonus")] = 0
    shares[~tastes.is_kind("subject-bound"), _Move._fields.index("subjects")] = 0
    edges = shares.cumsum(axis=1)
    chosen = (rng.random(len(tastes))[:, None] * edges[:, -1:] >= edges).sum(axis=1)
    return _Move(*(np.flatnonzero(chosen == i) for i in range(len(_SHARES))))


def _redraw_group(scores: FloatArray, prior: Prior) -> FloatArray:
    """New leanings (N, columns) in one group of axes of each row, or in all."""
    group = prior.rng.integers(-1, len(TASTE_GROUPS), size=len(scores))[:, None]
    return np.where((group == GROUP_OF_COLUMN) | (group < 0), prior.leanings(len(scores)), scores)


def _redraw_leaning(scores: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Gives one leaning of each row new values, or moves it to a free axis of the same group; its weight stays."""
    rows = np.arange(len(scores))
    weights = np.maximum.reduceat(scores, STARTS, axis=1)
    axis = _any_of(weights > 0, rng)
    free = (weights == 0) & (GROUP_OF[axis][:, None] == GROUP_OF)
    moves = free.any(axis=1) & (rng.random(len(scores)) < 0.5)
    target = np.where(moves, _any_of(free, rng), axis)
    new = np.zeros_like(scores)
    for i, values in enumerate(profiles()):
        here = np.flatnonzero(target == i)
        new[here] = values[rng.integers(len(values), size=len(here))]
    return np.where(axis[:, None] == AXIS_OF, 0.0, scores) + weights[rows, axis][:, None] * new


def _redraw_weights(scores: FloatArray, world: World, rng: np.random.Generator) -> FloatArray:
    """New weights of the leanings of one group of each row; their axes and values stay."""
    weights = np.maximum.reduceat(scores, STARTS, axis=1)
    group = rng.integers(len(TASTE_GROUPS), size=len(scores))
    inside = (group[:, None] == GROUP_OF) & (weights > 0)
    mean = np.array([dict(world.weights)[name] for name in TASTE_GROUPS])[group]
    new = group_weights(inside, mean, rng)
    factors = np.where(inside, new / np.where(inside, weights, 1.0), 1.0)
    return np.asarray(scores * factors[:, AXIS_OF])


def _any_of(flags: Flags, rng: np.random.Generator) -> NDArray[np.int64]:
    """The position of one flag of each row (N, K), each with equal chance."""
    return np.asarray((rng.random(flags.shape) * flags).argmax(axis=1))
