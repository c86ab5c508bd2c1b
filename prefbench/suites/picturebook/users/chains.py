"""The posterior over tastes in the first world, by Metropolis-Hastings over tastes.

All chains move at once. A proposal redraws one component of a taste (a leaning, a group, the bonus, the kind) from its
prior, by way of a library of tastes drawn once; so the prior stays invariant and only likelihoods are compared.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.choices import log_likelihood
from prefbench.suites.picturebook.users.likelihood import HistoryStyles
from prefbench.suites.picturebook.users.posterior import Draws
from prefbench.suites.picturebook.users.prior import sample_profiles, sample_rows
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Taste
from prefbench.suites.picturebook.users.taste_rows import AXIS_OF, GROUP_OF, STARTS, TasteRows, one_hot
from prefbench.suites.picturebook.world.axes import STYLE_NAMES, IntArray, sample_styles

_LIBRARY = 2000
_PROFILES = 256
_PAIRS = 48
"""Random pairs of unseen pictures that the likelihood averages over."""


def search(history: HistoryStyles, *, seed: int = 0, chains: int = 24, steps: int = 300, keep: int = 8) -> Draws:
    """Tastes drawn given what a history shows.

    The first half of the steps is burn-in; from the second, `keep` states of every chain become draws.
    """
    rng = np.random.default_rng(seed)
    library, likelihood = _library(), _Likelihood(history, rng)
    scores = likelihood(library)
    start = np.argsort(-scores)[:chains]
    current, scores = library.rows(start), scores[start]
    best, best_score = current.rows(np.array([0])), scores[0]
    saved = set(np.linspace(steps - 1, steps // 2, keep, dtype=int).tolist())
    draws: list[Taste] = []
    for step in range(steps):
        proposed = _propose(current, rng)
        new = likelihood(proposed)
        accepted = np.log(rng.random(chains)) < new - scores
        current, scores = current.replaced(proposed, accepted), np.where(accepted, new, scores)
        if scores.max() > best_score:
            best, best_score = current.rows(np.array([int(scores.argmax())])), scores.max()
        if step in saved:
            draws += [Taste.of(current.spec(row)) for row in range(chains)]
    return Draws(tuple(draws), Taste.of(best.spec(0)))


class _Likelihood:
    """Log-likelihood (N,) of tastes, over one sample of unseen pictures that all tastes share."""

    def __init__(self, history: HistoryStyles, rng: np.random.Generator) -> None:
        others = sample_styles(rng, 2 * _PAIRS, uniform=STYLE_NAMES)
        liked, disliked = history.liked.styles, history.disliked.styles
        self._shown = one_hot(np.concatenate([liked, disliked, others]))
        self._cuts = (len(liked), len(liked) + len(disliked))

    def __call__(self, tastes: TasteRows) -> FloatArray:
        liked, disliked, others = np.split(tastes.utilities(self._shown)[:, 0], self._cuts, axis=1)
        return log_likelihood(liked, disliked, others.reshape(len(tastes), 1, 2, _PAIRS), tastes.sharpness)


@cache
def _library() -> TasteRows:
    return sample_rows(np.random.default_rng(0), _LIBRARY)


@cache
def _profiles() -> FloatArray:
    return sample_profiles(np.random.default_rng(1), _PROFILES)


def _propose(tastes: TasteRows, rng: np.random.Generator) -> TasteRows:
    """Redraws one component of every taste: the same kind in all rows, with a separate draw for each."""
    n, move = len(tastes), rng.random()
    fresh = _library().rows(rng.integers(_LIBRARY, size=n))
    if move < 0.1:
        return replace(tastes, bonus=fresh.bonus, weight=fresh.weight)
    leanings = tastes.leanings.copy()
    counts = tastes.second_counts
    if move < 0.15:  # a second taste that did not count until now is drawn again with the kind
        leanings[~counts, 1] = fresh.leanings[~counts, 1]
        return replace(tastes, kind=fresh.kind, leanings=leanings)
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
