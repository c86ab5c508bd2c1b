"""Bootstrap intervals against simulations whose truth is known, and against copying rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import Scores
from prefbench.stats.bootstrap import crossed_bootstrap
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
def test_crossed_bootstrap_covers_and_item_bootstrap_does_not(users: int, prompts: int) -> None:
    rng, crossed, items, runs = np.random.default_rng(7), 0, 0, 400
    for run in range(runs):
        table = world(rng, users, prompts)
        estimate = crossed_bootstrap(grid(table), replicates=600, seed=run)
        assert estimate.low is not None
        assert estimate.high is not None
        crossed += estimate.low <= 0 <= estimate.high
        low, high = item_bootstrap(table, rng)
        items += low <= 0 <= high
    assert 0.92 <= crossed / runs <= 0.98
    assert items / runs < 0.85


def test_crossed_bootstrap_equals_resampling_rows_one_by_one() -> None:
    """The table's algebra against copying rows, with users of 1 to 6 samples, seeds within a cell, missing values."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), rng.integers(1, 7, 20))
    prompts = rng.integers(0, 8, len(users))
    values = users / 5 + prompts + rng.standard_normal(len(users))
    values[::11] = np.nan
    kept = ~np.isnan(values)
    weight = 1 / np.array([(users[kept] == user).sum() for user in users])
    means = []
    for _ in range(20_000):
        drawn_users, drawn_prompts = rng.integers(20, size=20), rng.integers(8, size=8)
        copies = (drawn_users[:, None] == users).sum(0) * (drawn_prompts[:, None] == prompts).sum(0) * weight
        means.append((copies * values)[kept].sum() / copies[kept].sum())
    table = Table.of(users.astype(str), prompts.astype(str), [values])
    tails = [0.01, 0.1, 0.5, 0.9, 0.99]
    assert np.quantile(table.replicate(20_000, 0)[:, 0], tails) == pytest.approx(np.quantile(means, tails), abs=0.06)
    assert table.means()[0] == pytest.approx((values * weight)[kept].sum() / 20)
    assert table.missing == (~kept).sum()


def test_prompts_of_one_user_are_drawn_with_the_user() -> None:
    table = world(np.random.default_rng(1), 400, 4)
    own, shared = crossed_bootstrap(grid(table, shared=False)), crossed_bootstrap(grid(table))
    error = table.mean(axis=1).std(ddof=1) / np.sqrt(400)
    assert [own.low, own.high] == pytest.approx([table.mean() - 1.96 * error, table.mean() + 1.96 * error], abs=0.01)
    assert shared.high - shared.low > 3 * (own.high - own.low)  # type: ignore[operator]
    users, prompts = (np.append(names, "x") for names in (grid(table).users, grid(table).prompts))
    mixed = Scores(np.append(table.ravel(), 5.0), users, prompts)
    assert crossed_bootstrap(mixed).n_prompts == 5


def test_every_user_counts_equally_and_missing_is_not_zero() -> None:
    scores = Scores(
        np.array([1.0, 1.0, 1.0, 4.0, np.nan, np.nan]),
        np.array(["a", "a", "a", "b", "b", "c"]),
        np.array(["p", "q", "r", "p", "q", "p"]),
    )
    estimate = crossed_bootstrap(scores)
    assert estimate.value == 2.5
    assert (estimate.n_users, estimate.n_prompts, estimate.n_samples, estimate.missing) == (2, 3, 4, 2)
    assert user_means(scores).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [1.0, 3.0]])
def test_fewer_than_two_users_have_no_interval(values: list[float]) -> None:
    scores = Scores(np.array(values), np.full(len(values), "a"), np.array([f"p{i}" for i in range(len(values))]))
    estimate = crossed_bootstrap(scores)
    assert estimate.value == (2.0 if values == [1.0, 3.0] else None)
    assert estimate.low is estimate.high is None


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    scores = grid(world(np.random.default_rng(2), 12, 6))
    assert crossed_bootstrap(scores, seed=3) == crossed_bootstrap(scores, seed=3)
    assert crossed_bootstrap(scores, seed=3) != crossed_bootstrap(scores, seed=4)
