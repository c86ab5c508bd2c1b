"""How often identical methods are told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray, NotMeasurableError, Scores, SetMetric
from prefbench.stats.paired import paired_p_values
from prefbench.stats.permutation import label_swap
from prefbench.stats.scores import differences, user_means

from .measured import MeasuredSystems
from .populations import as_scores, case_means
from .rates import rate
from .schema import FalsePositives, Rate
from .set_estimates import first_of_each_user
from .settings import ALPHA, ValidationSize
from .systems import System

FEWEST = 6
"""Users that differences must rest on for a rate of false positives to be asked for from below: where they rest on rare
exceptions, Student's t rejects less often than it may (Benjamini 1983, J. Am. Stat. Assoc. 78:645)."""


class NullPair(NamedTuple):
    """One comparison of a method with itself: the rows of the pool that stand for each side."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]


class PValues(NamedTuple):
    """The test's own p value, two that it is the largest of, and how many users the difference rests on."""

    both: float
    student: float
    flips: float
    rests_on: float


def identical(measured: MeasuredSystems) -> dict[str, FalsePositives]:
    """False positives of per-image metrics: different samples of one system, for half of the users each time.

    Beside the test itself stand two of the p values that it is the largest of, each alone.
    """
    return {name: _identical(measured, name, measured.systems.samples) for name in measured.image_metrics}


def identical_mixed(measured: MeasuredSystems) -> dict[str, FalsePositives]:
    """The same, but half of the pictures are copies: it adds copies so that nearly constant metrics vary."""
    return {name: _identical(measured, name, measured.systems.mixed) for name in measured.image_metrics}


def _identical(measured: MeasuredSystems, name: str, pool: System) -> FalsePositives:
    # Two samples of one case are compared here, so their keys differ; rows lie case by case.
    scores = replace(measured.scores(pool, name), keys=None)
    nulls = _splits(scores.users, measured.size, measured.size.nulls)
    pairs = ((scores.select(null.first), scores.select(null.second)) for null in nulls)
    return _false_positives(pairs, measured.size)


def differing_by_prompt(measured: MeasuredSystems) -> dict[str, FalsePositives]:
    """False positives where two methods differ from prompt to prompt and not on average.

    Users and two sets of prompts are resampled from the population's pool: each side shows its own prompts under common
    names, so prompts move the differences and their expectation is zero.
    """
    size = measured.size
    return {
        name: _false_positives(_mismatched(case_means(measured, name), size), size) for name in measured.image_metrics
    }


def _mismatched(means: FloatArray, size: ValidationSize) -> Iterator[tuple[Scores, Scores]]:
    for i in range(size.nulls):
        rng = np.random.default_rng([size.seed, i, 3])
        users = rng.integers(means.shape[0], size=size.sample_users)
        first, second = (
            as_scores(means[np.ix_(users, rng.integers(means.shape[1], size=size.sample_prompts))]) for _ in range(2)
        )
        yield first, second


def _false_positives(pairs: Iterable[tuple[Scores, Scores]], size: ValidationSize) -> FalsePositives:
    tested = [p for first, second in pairs if (p := _p_values(first, second, size)) is not None]
    if not tested:
        return {**rate(0, 0), "student": None, "flips": None, "rests_on": None}
    columns = PValues(*np.array(tested).T)
    hits, student, flips = ((np.asarray(column) < ALPHA).sum() for column in columns[:3])
    return {
        **rate(hits, len(tested)),
        "student": float(student / len(tested)),
        "flips": float(flips / len(tested)),
        "rests_on": float(np.median(columns.rests_on)),
    }


def _p_values(first: Scores, second: Scores, size: ValidationSize) -> PValues | None:
    both, student, flips = paired_p_values(first, second, replicates=size.replicates, seed=size.seed)
    if both is None or student is None or flips is None:
        return None
    return PValues(both, student, flips, rests_on(user_means(differences(first, second))))


def rests_on(differences: FloatArray) -> float:
    """How many users the differences (users,) rest on: all where they are of one size, 1 where one user has them all.

    The participation ratio of their squares, (sum d^2)^2 / sum d^4: of normal differences a third of the users; 0 where
    nothing differs.

    Example:
        >>> rests_on(np.array([1.0, -1.0, 1.0, 0.0]))
        3.0
    """
    fourth = (differences**4).sum()
    return float((differences @ differences) ** 2 / fourth) if fourth > 0 else 0.0


def identical_sets(measured: MeasuredSystems) -> dict[str, Rate]:
    """False positives of the permutation test of set-level metrics: fewer comparisons, each of which is many."""
    rates = {}
    for name, metric in measured.set_metrics.items():
        try:
            rates[name] = _set_rate(measured, metric)
        except NotMeasurableError:
            rates[name] = rate(0, 0)
    return rates


def _set_rate(measured: MeasuredSystems, metric: SetMetric) -> Rate:
    size, pool = measured.size, measured.systems.samples
    drawn, references = measured.drawn(pool, metric), measured.references(pool, metric)
    hits = 0
    for null in _splits(drawn.users, size, size.set_nulls):
        first, second = drawn.select(null.first), drawn.select(null.second)
        users = np.unique(first.users)
        likes = references.select(np.isin(references.users, users))
        difference = metric.resampling.permuted_difference(
            first, second, first_of_each_user(likes, max(2, len(first) // len(users)))
        )
        hits += label_swap(len(users), difference, replicates=size.swaps, seed=size.seed) < ALPHA
    return rate(hits, size.set_nulls)


def _splits(users: NDArray[np.str_], size: ValidationSize, n: int) -> Iterator[NullPair]:
    """Half of the users, and of each case two different samples in random order; rows lie case by case."""
    names = np.unique(users)
    cells = np.arange(len(users)).reshape(-1, size.samples)
    owners = users[cells[:, 0]]
    for i in range(n):
        rng = np.random.default_rng([size.seed, i])
        half = rng.choice(names, size=min(size.sample_users, max(2, len(names) // 2)), replace=False)
        cases = cells[np.isin(owners, half)]
        order = np.argsort(rng.random(cases.shape), axis=1)
        yield NullPair(*(np.take_along_axis(cases, order[:, [side]], axis=1)[:, 0] for side in range(2)))
