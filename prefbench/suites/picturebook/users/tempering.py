"""The posterior by sequential Monte Carlo with a tempered likelihood.

Del Moral, Doucet and Jasra 2006, J. R. Stat. Soc. B 68:411: many tastes move together from the prior to the posterior
by way of prior x likelihood^b. b rises as far as the effective number of particles allows; then particles are resampled
and moved by Metropolis-Hastings steps. They stay in all the modes that a history leaves open, where single chains stay
in one.

Each kind of taste has particles of its own, which also estimate how probable the history is under that kind: tempered
together, kinds that choose sharply would die out at small b, for most of their tastes explain a history badly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.likelihood import HistoryStyles, Likelihood
from prefbench.suites.picturebook.users.moves import redrawn
from prefbench.suites.picturebook.users.particles import Particles
from prefbench.suites.picturebook.users.prior import Prior
from prefbench.suites.picturebook.users.sampling import SECOND_TASTE
from prefbench.suites.picturebook.users.taste_rows import TasteRows, row_kinds
from prefbench.suites.picturebook.users.worlds import World
from prefbench.suites.picturebook.world.axes import IntArray

_START = 4
"""So many times as many particles are drawn from the prior as go on."""
_STEPS = 6
"""Metropolis-Hastings steps at each power of the likelihood."""
_EFFECTIVE = 0.3
"""What a rise of the power leaves of the effective number of particles, as a share of all."""


class _Scored(NamedTuple):
    tastes: TasteRows
    scores: FloatArray
    """Log-likelihoods (N,)."""


def tempered(
    history: HistoryStyles, world: World, *, seed: int = 0, each: int = 300, particles: int = 3000, last: int = 6
) -> Particles:
    """Tastes drawn given what a history shows.

    Args:
        each: particles of a kind of taste; twice as many of kinds with a second taste.
        particles: of all kinds together, in the end.
        last: steps of these.
    """
    prior, likelihood = Prior(world, np.random.default_rng(seed)), Likelihood(history, world)
    sizes = [each * (2 if kind in SECOND_TASTE else 1) for kind in row_kinds(world)]
    populations, evidence = zip(*(_of_kind(kind, n, likelihood, prior) for kind, n in enumerate(sizes)), strict=True)
    tastes = TasteRows.joined([population.tastes for population in populations])
    scores = np.concatenate([population.scores for population in populations])
    log_weights = np.log(prior.shares) + np.array(evidence) - np.log(sizes)
    state = _resampled(_Scored(tastes, scores), np.repeat(log_weights, sizes), particles, prior.rng)
    for _ in range(last):
        state = _moved(state, 1.0, likelihood, prior)
    return Particles(state.tastes)


def _of_kind(kind: int, n: int, likelihood: Likelihood, prior: Prior) -> tuple[_Scored, float]:
    """Particles of one kind, and the logarithm of the mean likelihood of such tastes."""
    tastes = prior.tastes(_START * n)
    tastes = replace(tastes, kind=np.full_like(tastes.kind, kind))
    state, power, evidence = _Scored(tastes, likelihood(tastes)), 0.0, 0.0
    while power < 1:
        rise = _rise(state.scores, 1 - power, _EFFECTIVE * n)
        power += rise
        evidence += float(logsumexp(rise * state.scores) - np.log(len(state.scores)))
        state = _resampled(state, rise * state.scores, n, prior.rng)
        for _ in range(_STEPS):
            state = _moved(state, power, likelihood, prior, same_kind=True)
    return state, evidence


def _rise(scores: FloatArray, most: float, effective: float) -> float:
    """By how much the power may rise: to where weights leave so many effective particles, or by `most`."""
    if _effective_size(most * scores) >= effective:
        return most
    low, high = 0.0, most
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _effective_size(middle * scores) >= effective else (low, middle)
    return low


def _effective_size(log_weights: FloatArray) -> float:
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum())


def _resampled(state: _Scored, log_weights: FloatArray, n: int, rng: np.random.Generator) -> _Scored:
    """Systematic resampling (Kitagawa 1996, J. Comput. Graph. Stat. 5:1)."""
    edges = np.exp(log_weights - log_weights.max()).cumsum()
    rows: IntArray = np.searchsorted(edges / edges[-1], (rng.random() + np.arange(n)) / n)
    return _Scored(state.tastes.rows(rows), state.scores[rows])


def _moved(state: _Scored, power: float, likelihood: Likelihood, prior: Prior, *, same_kind: bool = False) -> _Scored:
    proposed = redrawn(state.tastes, prior, same_kind=same_kind)
    scores = likelihood(proposed)
    accepted = np.log(prior.rng.random(len(scores))) < power * (scores - state.scores)
    return _Scored(state.tastes.replaced(proposed, accepted), np.where(accepted, scores, state.scores))
