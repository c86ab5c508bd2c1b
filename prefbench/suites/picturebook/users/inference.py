"""What a history reveals: the posterior over tastes under the world's true choice model.

Metropolis-Hastings over tastes: the prior is the world's own way of drawing users, the likelihood its own way of
judging. The best picture for the posterior mean of the utility is the best that anybody can expect to draw from the
same history; the MAP taste is the single most probable one.

All chains move at once. A proposal redraws one component of a taste (a leaning, a group, the bonus, the kind, the
subjects, the care) from its prior, by way of a library of tastes drawn once; so the prior stays invariant and only
likelihoods are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.likelihood import HistoryStyles, Likelihood
from prefbench.suites.picturebook.users.posterior import Believed, Posterior
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Taste
from prefbench.suites.picturebook.users.taste_rows import (
    AXIS_OF,
    GROUP_OF,
    STARTS,
    TasteRows,
    sample_profiles,
    sample_rows,
)
from prefbench.suites.picturebook.users.worlds import FIRST, World
from prefbench.suites.picturebook.world.axes import IntArray

_LIBRARY = 2000
_PROFILES = 256
STEPS: Mapping[bool, int] = {True: 300, False: 1000}
"""Steps of a chain: in the first world, and in others, where two searches of one history agree better."""


def infer(
    history: HistoryStyles,
    *,
    world: World = FIRST,
    seed: int = 0,
    chains: int = 24,
    steps: int | None = None,
    keep: int = 8,
) -> Posterior:
    """The posterior over tastes given what a history shows.

    The first half of the steps is burn-in; from the second, `keep` states of every chain become draws.

    Args:
        steps: by default those of `STEPS`.
    """
    steps = STEPS[world == FIRST] if steps is None else steps
    rng = np.random.default_rng(seed)
    library, likelihood = _library(world), Likelihood(history, world, rng)
    scores = likelihood(library)
    start = np.argsort(-scores)[:chains]
    current, scores = library.rows(start), scores[start]
    best, best_score = current.rows(np.array([0])), scores[0]
    saved = set(np.linspace(steps - 1, steps // 2, keep, dtype=int).tolist())
    draws: list[Believed] = []
    for step in range(steps):
        proposed = _propose(current, rng)
        new = likelihood(proposed)
        accepted = np.log(rng.random(chains)) < new - scores
        current, scores = current.replaced(proposed, accepted), np.where(accepted, new, scores)
        if scores.max() > best_score:
            best, best_score = current.rows(np.array([int(scores.argmax())])), scores.max()
        if step in saved:
            draws += [_believed(current, row) for row in range(chains)]
    return Posterior(tuple(draws), _believed(best, 0).taste)


def _believed(rows: TasteRows, row: int) -> Believed:
    spec = rows.spec(row)
    crowd = rows.world.share(spec.kind)
    bound = None if spec.subjects is None else Taste.other(spec, crowd=crowd)
    return Believed(Taste.of(spec, crowd=crowd), spec.subjects, bound)


@cache
def _library(world: World) -> TasteRows:
    return sample_rows(np.random.default_rng(0), _LIBRARY, world)


@cache
def _profiles() -> FloatArray:
    return sample_profiles(np.random.default_rng(1), _PROFILES)


def _propose(tastes: TasteRows, rng: np.random.Generator) -> TasteRows:
    """Redraws one component of every taste: the same kind in all rows, with a separate draw for each."""
    n, move = len(tastes), rng.random()
    fresh = _library(tastes.world).rows(rng.integers(_LIBRARY, size=n))
    if move < 0.1:
        return replace(tastes, bonus=fresh.bonus, weight=fresh.weight)
    leanings = tastes.leanings.copy()
    counts = tastes.second_counts
    if move < 0.15:  # a second taste that did not count until now is drawn again with the kind
        leanings[~counts, 1] = fresh.leanings[~counts, 1]
        return replace(tastes, kind=fresh.kind, leanings=leanings)
    if tastes.world != FIRST and rng.random() < 0.15:
        return replace(tastes, subjects=fresh.subjects) if rng.random() < 0.5 else replace(tastes, care=fresh.care)
    side = np.where(counts, rng.integers(2, size=n), 0)
    old = leanings[np.arange(n), side]
    if move < 0.35:
        group = rng.integers(-1, len(TASTE_GROUPS), size=n)[:, None]  # -1: all three
        new = np.where((GROUP_OF[AXIS_OF] == group) | (group < 0), fresh.leanings[:, 0], old)
    else:
        new = _redraw_leaning(old, rng)
    leanings[np.arange(n), side] = new
    return replace(tastes, leanings=leanings)


def _redraw_leaning(scores: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Gives one leaning of each row new values, or moves it to a free axis of the same group; its weight stays."""
    n = len(scores)
    weights = np.maximum.reduceat(scores, STARTS, axis=1)
    axis = _any_of(weights > 0, rng)
    free = (weights == 0) & (GROUP_OF[axis][:, None] == GROUP_OF)
    moves = free.any(axis=1) & (rng.random(n) < 0.5)
    target = np.where(moves, _any_of(free, rng), axis)
    profile = _profiles()[target, rng.integers(_PROFILES, size=n)]
    others = np.where(axis[:, None] == AXIS_OF, 0.0, scores)
    return np.asarray(others + weights[np.arange(n), axis][:, None] * profile)


def _any_of(flags: NDArray[np.bool_], rng: np.random.Generator) -> IntArray:
    """The position of one flag of each row (N, K), each with equal chance."""
    return np.asarray((rng.random(flags.shape) * flags).argmax(axis=1))
