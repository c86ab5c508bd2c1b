"""Two methods on the same samples: the mean difference, its interval, its p value, Holm's adjustment of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.stats import LEVEL
from prefbench.stats.means import proportion, within
from prefbench.stats.permutation import SignFlips
from prefbench.stats.proportions import Gains
from prefbench.stats.rules import Evidence, interval, p_value
from prefbench.stats.scores import differences, user_means
from prefbench.stats.student import student_p_value
from prefbench.stats.table import Table
from prefbench.stats.variance import spread_of_mean


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods with its interval, and the p value of no difference at all."""

    estimate: Estimate
    p_value: float | None
    """None without users."""


def paired_difference(
    a: Scores, b: Scores, *, replicates: int = 10_000, level: float = LEVEL, seed: int = 0
) -> Difference:
    """`a` minus `b` on the same keys; a row that either lacks is missing, values that are tied do not differ.

    Interval and p value are those of `rules`: p lies under 1 - level just where the interval leaves out 0. Student's t
    speaks of new users and new prompts, the sign flips over users are exact for few users, of whom fewer than six have
    no 95 % interval. With fewer than four shared prompts all are over users alone (`Estimate.users_only`).

    Args:
        replicates: random sign flips for more than 12 users.

    Raises:
        ValueError: the two are not scored on the same keys.
    """
    rows = differences(a, b)
    table = Table.of(rows.users, rows.prompts, gains_of(rows.values))
    if not table.n_samples:
        return Difference(table.estimate(None, None, rows.unpaired), None)
    evidence = _evidence(table, rows, replicates, seed)
    ends = within(interval(evidence, level), rows.bounds)
    return Difference(table.estimate(float(evidence.mean), ends, rows.unpaired), float(p_value(evidence)))


def gains_of(differences: FloatArray) -> list[FloatArray]:
    """Differences, what they are above zero, and what they are below it: the quantities of a table of differences."""
    return [differences, differences.clip(0), (-differences).clip(0)]


def _evidence(table: Table, rows: Scores, replicates: int, seed: int) -> Evidence:
    flips = SignFlips.of(user_means(rows), replicates=replicates, seed=seed)
    spread = spread_of_mean(table.grouped_errors())
    return Evidence(table.means()[0], spread, flips, gains(table, rows))


def gains(table: Table, rows: Scores) -> Gains | None:
    """The difference as one of proportions, from a table of `gains_of`; None without bounds, or for one user."""
    low, high = rows.bounds
    if low is None or high is None or len(table.users) < 2:
        return None
    up, down = (proportion(table, k, (0.0, high)) for k in (1, 2))
    assert up is not None
    assert down is not None
    return Gains(up, down, spread_of_mean(table.grouped_errors()).variance)


class PairedPValues(NamedTuple):
    """The p value of no difference, and two of those that it is the largest of."""

    both: float | None
    student: float | None
    """Student's t over users and prompts; None for fewer than two users."""
    flips: float | None
    """Sign flips over users; None for no users."""


def paired_p_values(a: Scores, b: Scores, *, replicates: int = 10_000, seed: int = 0) -> PairedPValues:
    """The p value as `paired_difference` gives it, beside Student's t and the sign flips alone."""
    rows = differences(a, b)
    table = Table.of(rows.users, rows.prompts, gains_of(rows.values))
    if not table.n_samples:
        return PairedPValues(None, None, None)
    one = _evidence(table, rows, replicates, seed)
    assert one.flips is not None
    return PairedPValues(float(p_value(one)), float(student_p_value(one.mean, one.spread)), one.flips.p_value)


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


def adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment over the p values that there are."""
    tested = iter(holm([p for p in p_values if p is not None]).tolist())
    return [None if p is None else next(tested) for p in p_values]
