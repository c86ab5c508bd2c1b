"""Two methods on the same samples: the mean difference, its interval, its p value, Holm's adjustment of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prefbench.api import Bounds, Estimate, FloatArray, Scores
from prefbench.stats import LEVEL, proportions
from prefbench.stats.bootstrap import widened
from prefbench.stats.permutation import sign_flip
from prefbench.stats.proportions import Margins
from prefbench.stats.scores import aligned, user_means
from prefbench.stats.student import student_p_value
from prefbench.stats.table import Table
from prefbench.stats.variance import variance_of_mean


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods with its interval, and the p value of no difference at all."""

    estimate: Estimate
    p_value: float | None
    """None without users."""


def paired_difference(
    a: Scores, b: Scores, *, replicates: int = 10_000, level: float = LEVEL, seed: int = 0
) -> Difference:
    """`a` minus `b` on the same keys; a row that either lacks is missing. Interval as in `crossed_bootstrap`.

    The p value is the larger of two. One speaks of new users and new prompts: Student's t on what users, and what
    shared prompts beyond chance, add to the variance (`student.student_p_value`). The other is that of `sign_flip`
    over users: exact for few users, but it answers for these prompts alone and finds differences that other prompts do
    not have. The interval is more cautious than the p value where neither users nor prompts differ.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    a, b = aligned([a, b])
    differences = a.values - b.values
    table = Table.of(a.users, a.prompts, [differences])
    value, resampled = float(table.means()[0]), table.replicate(replicates, seed)[:, 0]
    estimate = table.estimate(value, resampled, table.errors(), level)
    if a.bounds == b.bounds and None not in a.bounds:
        gains = Table.of(a.users, a.prompts, [differences, differences.clip(0), (-differences).clip(0)])
        estimate = widened(estimate, difference_margins(gains, a.bounds, level))
    p_values = _p_values(table, Scores(differences, a.users, a.prompts), replicates, seed)
    return Difference(estimate, max((p for p in p_values if p is not None), default=None))


def difference_margins(gains: Table, bounds: Bounds, level: float) -> Margins | None:
    """Margins of the interval of a paired difference, from how often and how far it goes up and down.

    Quantity 0 of the table is the difference, 1 what it is above zero and 2 what it is below, both at least 0: two
    proportions, so that two methods which never differ in a sample are not known to be the same. They are joined as
    below^2 = below_up^2 + above_down^2 - 2 r below_up above_down (and likewise above), r the correlation of the two
    means: Zou & Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27:1693,
    2008. None without both bounds, or for one user.
    """
    low, high = bounds
    if low is None or high is None:
        return None
    up, down = (proportions.proportion(gains, k, (0.0, high - low), level) for k in (1, 2))
    if up is None or down is None:
        return None
    both, a, b = (float(variance_of_mean(gains.variance_components(k)).variance) for k in (0, 1, 2))
    r = min(1.0, max(-1.0, (a + b - both) / (2 * math.sqrt(a * b)))) if a * b > 0 else 0.0
    return Margins(_joined(up.below, down.above, r), _joined(up.above, down.below, r))


def _joined(one: float, other: float, r: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * r * one * other))


class PairedPValues(NamedTuple):
    """The two p values of no difference that a paired test has: both must be small."""

    student: float | None
    """Student's t over users and prompts; None for fewer than two users."""
    flips: float | None
    """Sign flips over users; None for no users."""


def paired_p_values(differences: Scores, *, replicates: int = 10_000, seed: int = 0) -> PairedPValues:
    """The two p values of differences sample by sample, as `paired_difference` takes the larger of them."""
    table = Table.of(differences.users, differences.prompts, [differences.values])
    return _p_values(table, differences, replicates, seed)


def _p_values(table: Table, differences: Scores, replicates: int, seed: int) -> PairedPValues:
    flipped = sign_flip(user_means(differences), replicates=replicates, seed=seed)
    return PairedPValues(zero_mean_p_value(table), flipped)


def zero_mean_p_value(table: Table) -> float | None:
    """Two-sided p value of a zero mean of the first quantity, by Student's t; None for fewer than two users."""
    return float(student_p_value(table.means()[0], table.variance_components())) if len(table.weights) > 1 else None


def holm(p_values: Sequence[float]) -> FloatArray:
    """Holm's step-down adjusted p values (K,), in the given order: they control the family-wise error rate.

    The k-th smallest of K p values becomes max_{j <= k} min(1, (K - j + 1) p_(j)) (Holm 1979, Scand. J. Stat. 6:65).
    `statsmodels.stats.multitest.multipletests` gives the same numbers, and the tests compare with it, but it collects
    garbage in every call, which is slow once torch is loaded.

    Raises:
        ValueError: a p value outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values lie in [0, 1], got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted
