"""Power from a pilot's variance components: users needed, smallest effects shown.

A score is mean + user + prompt + (user x prompt) + sample, all independent. What is planned for is the test that
`stats.paired_difference` makes: Student's t over users and over what shared prompts add, and at least as many users as
its exact sign flips need.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr, stdtrit
from scipy.stats import nct, norm
from scipy.stats import t as student

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import LEVEL
from prefbench.stats.components import Components, Design, components, drawn_anew
from prefbench.stats.permutation import fewest_users
from prefbench.stats.variance import FEWEST_PROMPTS

POWER, ALPHA = 0.8, 0.05
_MOST_USERS = 10_000_000
_POINTS = 16
"""Values of each estimated variance that power is averaged over."""


def shown_by_scorer(effect: float, accuracy: float) -> float:
    """The effect that a scorer shows which orders a pair rightly with probability `accuracy`: (2 accuracy - 1) of it.

    Raises:
        ValueError: an accuracy of one half or less shows nothing.

    Example:
        >>> shown_by_scorer(0.5, 0.75)
        0.25
    """
    if not 0.5 < accuracy <= 1:
        raise ValueError(f"the accuracy of a scorer lies above 0.5 and is at most 1, got {accuracy:g}")
    return effect * (2 * accuracy - 1)


def achieved(effect: float, variances: Components, design: Design, *, alpha: float = ALPHA) -> float:
    """The power of the two-sided test for a mean of `effect`.

    With no shared prompts this is the power of Student's t over users, n - 1 degrees of freedom; so it is with fewer
    than four, since the test is then over users alone. Else the power given the variances that the study will estimate
    is averaged over the chi-squared distributions of these. It is 0 for fewer users than the exact sign flips need.
    """
    if design.users < fewest_users(alpha):
        return 0.0
    expected = _expected(variances, design)
    if not expected.users + expected.excess > 0:
        return 1.0 if effect else alpha
    if design.pool < FEWEST_PROMPTS:
        return _power_of_t(effect / np.sqrt(expected.users), design.users - 1, alpha)
    users, prompts = (_mean_squares(n - 1) for n in (design.users, design.pool))
    of_prompts = expected.prompts * prompts[None]
    excess = np.maximum(of_prompts - expected.cells, 0)
    of_users = expected.users * users[:, None]
    spread = of_users**2 / (design.users - 1) + np.where(excess > 0, of_prompts, 0) ** 2 / (design.pool - 1)
    # Where nothing would be seen to vary the bound is 0 whatever the degrees of freedom.
    df = np.divide((of_users + excess) ** 2, spread, out=np.ones_like(spread), where=spread > 0)
    bound = stdtrit(df, 1 - alpha / 2) * np.sqrt((of_users + excess) / (expected.users + expected.excess))
    shift = effect / np.sqrt(expected.users + expected.excess)
    return float((ndtr(shift - bound) + ndtr(-shift - bound)).mean())


def smallest_effect(
    variances: Components, design: Design, *, power: float = POWER, alpha: float = ALPHA
) -> float | None:
    """The smallest mean that the design shows with this power; 0 where nothing varies, None for too few users."""
    if design.users < fewest_users(alpha):
        return None
    expected = _expected(variances, design)
    error = np.sqrt(expected.users + expected.excess)
    if not error > 0:
        return 0.0
    far = error
    while achieved(far, variances, design, alpha=alpha) < power:
        far *= 2
    root = brentq(lambda effect: achieved(effect, variances, design, alpha=alpha) - power, 0, far, xtol=1e-9 * far)
    return float(root)


def users_needed(
    effect: float, variances: Components, design: Design, *, power: float = POWER, alpha: float = ALPHA
) -> int | None:
    """How many users the design needs, its own number aside, to show a mean of `effect`; None where none suffice.

    Never fewer than the exact sign flips need to fall under `alpha`: six at 0.05. More users do not help where the
    shared prompts alone leave too much to chance.
    """

    def enough(users: int) -> bool:
        return achieved(effect, variances, replace(design, users=users), alpha=alpha) >= power

    if not enough(_MOST_USERS):
        return None
    low = fewest_users(alpha) - 1
    high = low + 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def users_interval(
    effect: float,
    scores: Scores,
    planned: Design,
    *,
    power: float = POWER,
    alpha: float = ALPHA,
    replicates: int = 200,
    seed: int = 0,
) -> tuple[int, int | None]:
    """The central 95 % of the users needed by pilots drawn anew with this pilot's variances; None for no number."""
    rng, variances = np.random.default_rng(seed), components(scores)
    anew = (drawn_anew(scores, variances, rng) for _ in range(replicates))
    needed = [users_needed(effect, components(one), planned, power=power, alpha=alpha) for one in anew]
    ordered = sorted(_MOST_USERS if n is None else n for n in needed)
    low, high = (ordered[round(tail * (len(ordered) - 1))] for tail in (0.025, 0.975))
    return low, None if high == _MOST_USERS else high


def smallest_shown(difference: Estimate, *, power: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest difference that an interval of this width leaves zero out of with this power.

    Half the width is what a difference must exceed; its own error, at most that half over the quantile of the
    level, adds what the power asks. None without an interval.
    """
    if difference.low is None or difference.high is None:
        return None
    half = (difference.high - difference.low) / 2
    return half * float(1 + norm.ppf(power) / norm.ppf((1 + level) / 2))


class _Expected(NamedTuple):
    """What the study's estimates of the variance of its mean are on average (`variance.spread_of_mean`)."""

    users: float
    prompts: float
    cells: float
    excess: float
    """What shared prompts truly add."""


def _expected(variances: Components, design: Design) -> _Expected:
    n_cells = design.users * design.prompts
    rest = (variances.cell + variances.sample / design.samples) / n_cells
    by_user = variances.user / design.users + rest
    if not design.pool:
        return _Expected(by_user + variances.prompt / n_cells, 0.0, 0.0, 0.0)
    if design.pool < FEWEST_PROMPTS:
        return _Expected(by_user, 0.0, 0.0, 0.0)
    excess = variances.prompt / design.pool
    uneven = variances.user / n_cells * (1 - min(1.0, design.prompts / design.pool))
    cells = rest + (variances.user + variances.prompt) / n_cells
    return _Expected(by_user, excess + rest + uneven, cells, excess)


def _power_of_t(shift: float, df: float, alpha: float) -> float:
    bound = float(student.ppf(1 - alpha / 2, df))
    power = nct.sf(bound, df, shift) + nct.cdf(-bound, df, shift)
    # Far out SciPy's noncentral t is not finite; there the answer is certain.
    return float(power) if np.isfinite(power) else float(norm.sf(bound - abs(shift)))


@lru_cache(maxsize=64)
def _mean_squares(df: int) -> FloatArray:
    """Estimates of a variance of 1 with so many degrees of freedom, at the middles of equal shares of their chance."""
    return np.asarray(2 * gammaincinv(df / 2, (np.arange(_POINTS) + 0.5) / _POINTS) / df)
