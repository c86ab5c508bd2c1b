"""Intervals of proportions against scipy's exact one, and their coverage where exceptions are rare."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import t as student

from prefbench.rare import difference, proportion
from prefbench.resampling import Table, spread
from prefbench.stats import Scores, crossed_bootstrap, paired_difference

Floats = NDArray[np.float64]
SHARE = (0.0, 1.0)


def grid(values: Floats, bounds: tuple[float | None, float | None] = SHARE) -> Scores:
    users, prompts = (np.arange(n).astype(str) for n in values.shape)
    return Scores(
        values.ravel(), np.repeat(users, values.shape[1]), np.tile(prompts, values.shape[0]), bounds=bounds
    )  # fmt: skip


def table(*columns: Floats) -> Table:
    first = grid(columns[0])
    return Table.of(first.users, first.prompts, [column.ravel() for column in columns])


def test_without_any_exception_it_is_the_exact_interval_of_as_many_trials_as_pairs() -> None:
    """But for few prompts: the trials shrink by the square of Student's t over the prompts."""
    users, prompts = 60, 20
    reach = proportion(table(np.zeros((users, prompts))), 0, SHARE, 0.95)
    assert reach is not None
    trials = users * prompts * (student.ppf(0.975, users * prompts - 1) / student.ppf(0.975, prompts - 1)) ** 2
    exact = binomtest(0, round(trials)).proportion_ci(method="exact").high
    assert reach.below == 0
    assert reach.above == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("share", [0.005, 0.05, 0.5])
def test_of_independent_values_it_is_about_the_exact_interval(share: float) -> None:
    rng = np.random.default_rng(1)
    widths = []
    for _ in range(40):
        values = (rng.random((60, 20)) < share).astype(float)
        reach = proportion(table(values), 0, SHARE, 0.95)
        assert reach is not None
        exact = binomtest(int(values.sum()), values.size).proportion_ci(method="exact")
        widths.append((reach.below + reach.above) / (exact.high - exact.low))
    # Student's t over 20 prompts makes it 7 % wider; prompts that differ by chance some more.
    assert 1.0 < np.mean(widths) < 1.3


def test_bounds_may_be_any() -> None:
    values = (np.random.default_rng(2).random((20, 10)) < 0.1).astype(float)
    plain, scaled = (proportion(table(v), 0, b, 0.95) for v, b in ((values, SHARE), (50 * values - 30, (-30, 20))))
    assert plain is not None
    assert scaled is not None
    assert tuple(scaled) == pytest.approx([50 * end for end in plain])


@pytest.mark.parametrize("bounds", [(None, None), (0.0, None), (None, 1.0)])
def test_without_both_bounds_there_is_none(bounds: tuple[float | None, float | None]) -> None:
    values = np.zeros((9, 9))
    assert proportion(table(values), 0, bounds, 0.95) is None
    estimate = crossed_bootstrap(grid(values, bounds), replicates=50)
    assert (estimate.low, estimate.high) == (0, 0)


def test_one_user_has_no_interval() -> None:
    assert proportion(table(np.zeros((1, 9))), 0, SHARE, 0.95) is None
    assert crossed_bootstrap(grid(np.zeros((1, 9))), replicates=50).low is None


@pytest.mark.parametrize("world", ["independent", "some users"])
def test_intervals_hold_rare_shares_that_the_bootstrap_alone_misses(world: str) -> None:
    rng, share, runs = np.random.default_rng(3), 0.003, 200
    held = np.zeros(2)
    for _ in range(runs):
        chance = share if world == "independent" else rng.beta(5 * share, 5 * (1 - share), (50, 1))
        values = (rng.random((50, 10)) < chance).astype(float)
        for i, bounds in enumerate(((None, None), SHARE)):
            estimate = crossed_bootstrap(grid(values, bounds), replicates=200)
            assert estimate.low is not None
            assert estimate.high is not None
            held[i] += estimate.low <= share <= estimate.high
    bootstrap, own = held / runs
    assert bootstrap < 0.9
    assert own >= 0.93


def test_far_from_bounds_the_bootstrap_decides() -> None:
    rng = np.random.default_rng(4)
    effects = rng.standard_normal((100, 1)) + rng.standard_normal((1, 30)) + rng.standard_normal((100, 30))
    values = 1 / (1 + np.exp(-effects))
    bare, bounded = (crossed_bootstrap(grid(values, bounds)) for bounds in ((None, None), SHARE))
    widths = [e.high - e.low for e in (bare, bounded) if e.low is not None and e.high is not None]
    assert widths[0] <= widths[1] < 1.05 * widths[0]


def test_a_difference_joins_the_reaches_of_both() -> None:
    """Zou & Donner by hand; the correlation is that of the two means."""
    rng = np.random.default_rng(5)
    a = (rng.random((40, 8)) < 0.3).astype(float)
    b = np.where(rng.random(a.shape) < 0.5, a, rng.random(a.shape) < 0.2)
    joined = table(a - b, a, b)
    found = difference(joined, SHARE, 0.95)
    one, other = (proportion(joined, k, SHARE, 0.95) for k in (1, 2))
    assert found is not None
    assert one is not None
    assert other is not None
    apart, first, second = (float(spread(*joined.parts(k)).variance) for k in (0, 1, 2))
    r = (first + second - apart) / (2 * np.sqrt(first * second))
    assert 0 < r < 1
    expected = one.below**2 + other.above**2 - 2 * r * one.below * other.above
    assert found.below == pytest.approx(np.sqrt(expected))


def test_two_methods_that_never_fail_are_not_known_to_be_the_same() -> None:
    never = grid(np.zeros((50, 10)))
    found = paired_difference(never, never, replicates=200)
    assert found.p_value == 1
    assert found.estimate.low == pytest.approx(-found.estimate.high)  # type: ignore[operator]
    assert 0.005 < found.estimate.high < 0.03  # type: ignore[operator]
    bare = paired_difference(*[grid(np.zeros((50, 10)), (None, None))] * 2, replicates=200)
    assert (bare.estimate.low, bare.estimate.high) == (0, 0)
