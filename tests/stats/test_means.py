"""Intervals of means against simulations whose truth is known, loops over rows, and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from prefbench.api import Scores
from prefbench.stats.means import mean_interval
from prefbench.stats.scores import user_means
from prefbench.stats.table import Table
from tests.support.tables import grid, world


def item_bootstrap(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """What must not be done: the interval from resampling single samples."""
    means = [rng.choice(values.ravel(), values.size).mean() for _ in range(300)]
    low, high = np.quantile(means, [0.025, 0.975])
    return low, high


@pytest.mark.slow
@pytest.mark.parametrize(("users", "prompts"), [(60, 15), (8, 12)])
def test_intervals_over_users_and_prompts_cover_and_an_item_bootstrap_does_not(users: int, prompts: int) -> None:
    rng, crossed, items, runs = np.random.default_rng(7), 0, 0, 400
    for _ in range(runs):
        table = world(rng, users, prompts)
        estimate = mean_interval(grid(table))
        assert estimate.low is not None
        assert estimate.high is not None
        crossed += estimate.low <= 0 <= estimate.high
        low, high = item_bootstrap(table, rng)
        items += low <= 0 <= high
    assert 0.92 <= crossed / runs <= 0.98
    assert items / runs < 0.85


def test_without_shared_prompts_it_is_students_interval_over_users() -> None:
    """Of symmetric values, which need no correction for skewness."""
    means = np.arange(-4.0, 5.0)
    users, prompts = np.repeat([f"u{i}" for i in range(9)], 2), np.array([f"p{i}" for i in range(18)])
    found = mean_interval(Scores(np.repeat(means, 2), users, prompts))
    expected = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high])
    assert (found.n_users, found.n_prompts, found.n_pairs, found.n_samples, found.users_only) == (9, 18, 18, 18, False)


def test_errors_by_user_prompt_and_cell_equal_loops_over_rows() -> None:
    """With users of 1 to 6 samples, several samples in a cell, missing values."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), rng.integers(1, 7, 20))
    prompts = rng.integers(0, 8, len(users))
    values = users / 5 + prompts + rng.standard_normal(len(users))
    values[::11] = np.nan
    kept = ~np.isnan(values)
    weight = 1 / np.array([(users[kept] == user).sum() for user in users])
    mean = (values * weight)[kept].sum() / weight[kept].sum()
    errors = (weight * (values - mean))[kept] / weight[kept].sum()
    table = Table.of(users.astype(str), prompts.astype(str), [values])
    names = users[kept], prompts[kept], users[kept] * 8 + prompts[kept]
    assert len(table.shared) == 8
    assert table.means()[0] == pytest.approx(mean)
    assert table.missing == (~kept).sum()
    for found, groups in zip(table.grouped_errors(), names, strict=True):
        sums = np.array([errors[groups == g].sum() for g in np.unique(groups)])
        expected = [(sums**2).sum(), (sums**3).sum(), len(sums)]
        assert [found.squares, found.cubes, found.groups] == pytest.approx(expected)


def test_prompts_of_one_user_are_part_of_the_user() -> None:
    table = world(np.random.default_rng(1), 400, 4)
    own, shared = mean_interval(grid(table, shared=False)), mean_interval(grid(table))
    error = table.mean(axis=1).std(ddof=1) / np.sqrt(400)
    assert [own.low, own.high] == pytest.approx([table.mean() - 1.96 * error, table.mean() + 1.96 * error], abs=0.01)
    assert shared.high - shared.low > 3 * (own.high - own.low)  # type: ignore[operator]
    users, prompts = (np.append(names, "x") for names in (grid(table).users, grid(table).prompts))
    mixed = Scores(np.append(table.ravel(), 5.0), users, prompts)
    assert mean_interval(mixed).n_prompts == 5


def test_every_user_counts_equally_and_missing_is_not_zero() -> None:
    scores = Scores(
        np.array([1.0, 1.0, 1.0, 4.0, np.nan, np.nan]),
        np.array(["a", "a", "a", "b", "b", "c"]),
        np.array(["p", "q", "r", "p", "q", "p"]),
    )
    estimate = mean_interval(scores)
    assert estimate.value == 2.5
    assert (estimate.n_users, estimate.n_prompts, estimate.n_samples, estimate.missing) == (2, 3, 4, 2)
    assert user_means(scores).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [1.0, 3.0]])
def test_fewer_than_two_users_have_no_interval(values: list[float]) -> None:
    scores = Scores(np.array(values), np.full(len(values), "a"), np.array([f"p{i}" for i in range(len(values))]))
    estimate = mean_interval(scores)
    assert estimate.value == (2.0 if values == [1.0, 3.0] else None)
    assert estimate.low is estimate.high is None


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_with_fewer_than_four_shared_prompts_the_interval_is_over_users_alone_and_says_so(prompts: int) -> None:
    rng = np.random.default_rng(3)
    table = rng.standard_normal((12, 1)) + 5 * rng.standard_normal(prompts) + rng.standard_normal((12, prompts))
    found, more = mean_interval(grid(table)), mean_interval(grid(np.tile(table, (1, 4))))
    assert found.users_only
    assert not more.users_only
    over_users = mean_interval(grid(table.mean(axis=1, keepdims=True), shared=False))
    assert [found.low, found.high] == pytest.approx([over_users.low, over_users.high])


def test_an_interval_does_not_leave_the_bounds_of_its_values() -> None:
    values = np.full((5, 5), 0.9)
    values[0], values[1] = 0.1, 1.0
    free = mean_interval(grid(values))
    assert free.high is not None
    assert free.high > 1
    scores = grid(values)
    bounded = mean_interval(Scores(scores.values, scores.users, scores.prompts, bounds=(0.0, 1.0)))
    assert bounded.high == 1.0
