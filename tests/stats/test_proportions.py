"""Intervals of proportions against scipy's exact one, and their coverage where exceptions are rare."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from prefbench.api import FloatArray, Scores
from prefbench.stats.means import mean_interval, proportion
from prefbench.stats.paired import gains_of, paired_difference
from prefbench.stats.proportions import Gains, Margins
from prefbench.stats.table import Table
from prefbench.stats.variance import spread_of_mean

SHARE = (0.0, 1.0)


def grid(values: FloatArray, bounds: tuple[float | None, float | None] = SHARE) -> Scores:
    users, prompts = (np.arange(n).astype(str) for n in values.shape)
    return Scores(
        values.ravel(), np.repeat(users, values.shape[1]), np.tile(prompts, values.shape[0]), bounds=bounds
    )  # fmt: skip


def table(*columns: FloatArray) -> Table:
    first = grid(columns[0], (None, None))
    return Table.of(first.users, first.prompts, [column.ravel() for column in columns])


def reach_of(table: Table, k: int, bounds: tuple[float, float]) -> Margins | None:
    """Margins of the 95 % interval."""
    one = proportion(table, k, bounds)
    return None if one is None else one.margins(0.95)


@pytest.mark.parametrize("shared", [True, False])
def test_without_any_exception_it_is_the_exact_interval_of_as_many_trials_as_pairs(shared: bool) -> None:
    """But for few users: the trials shrink by the square of Student's t over them."""
    users, prompts = 60, 20
    scores = grid(np.zeros((users, prompts)))
    names = scores.prompts if shared else np.arange(len(scores)).astype(str)
    reach = reach_of(Table.of(scores.users, names, [scores.values]), 0, SHARE)
    assert reach is not None
    trials = users * prompts * (student.ppf(0.975, users * prompts - 1) / student.ppf(0.975, users - 1)) ** 2
    exact = binomtest(0, round(trials)).proportion_ci(method="exact").high
    assert reach.below == 0
    assert reach.above == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_few_prompts_that_do_not_differ_change_little(prompts: int) -> None:
    rng = np.random.default_rng(8)
    widths = []
    for _ in range(20):
        estimates = [
            mean_interval(grid(values, bounds))
            for values in [(rng.random((200, prompts)) < 0.3).astype(float)]
            for bounds in ((None, None), SHARE)
        ]
        bare, own = (e.high - e.low for e in estimates if e.low is not None and e.high is not None)
        widths.append(own / bare)
    assert np.median(widths) < 1.2


@pytest.mark.parametrize("share", [0.005, 0.05, 0.5])
def test_of_independent_values_it_is_about_the_exact_interval(share: float) -> None:
    rng = np.random.default_rng(1)
    widths = []
    for _ in range(40):
        values = (rng.random((60, 20)) < share).astype(float)
        reach = reach_of(table(values), 0, SHARE)
        assert reach is not None
        exact = binomtest(int(values.sum()), values.size).proportion_ci(method="exact")
        widths.append((reach.below + reach.above) / (exact.high - exact.low))
    # Student's t and prompts that differ by chance make it wider.
    assert 1.0 < np.mean(widths) < 1.2


def test_bounds_may_be_any() -> None:
    values = (np.random.default_rng(2).random((20, 10)) < 0.1).astype(float)
    plain, scaled = (reach_of(table(v), 0, b) for v, b in ((values, SHARE), (50 * values - 30, (-30, 20))))
    assert plain is not None
    assert scaled is not None
    assert tuple(scaled) == pytest.approx([50 * end for end in plain])


@pytest.mark.parametrize("bounds", [(None, None), (0.0, None), (None, 1.0)])
def test_without_both_bounds_there_is_none(bounds: tuple[float | None, float | None]) -> None:
    values = np.zeros((9, 9))
    assert proportion(table(values), 0, bounds) is None
    estimate = mean_interval(grid(values, bounds))
    assert (estimate.low, estimate.high) == (0, 0)


@pytest.mark.parametrize("bounds", [(0.0, 0.0), (1.0, 0.0), (0.0, 0.5)])
def test_bounds_that_hold_nothing_or_are_left_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        grid(np.ones((2, 2)), bounds)


def test_one_user_has_no_interval() -> None:
    assert mean_interval(grid(np.zeros((1, 9)))).low is None


@pytest.mark.parametrize("share", [0.001, 0.003, 0.01, 0.02])
def test_intervals_hold_rare_shares(share: float) -> None:
    """Of single exceptions; Student's t alone misses the rarest."""
    rng, runs = np.random.default_rng(3), 200
    held = np.zeros(2)
    for _ in range(runs):
        values = (rng.random((50, 10)) < share).astype(float)
        for i, bounds in enumerate(((None, None), SHARE)):
            estimate = mean_interval(grid(values, bounds))
            assert estimate.low is not None
            assert estimate.high is not None
            held[i] += estimate.low <= share <= estimate.high
    bare, own = held / runs
    assert own >= 0.93
    assert (bare < 0.9) == (share < 0.01)


def test_exceptions_that_come_whole_users_at_a_time_are_missed_as_documented() -> None:
    rng, share, runs, held = np.random.default_rng(3), 0.01, 200, 0
    for _ in range(runs):
        values = np.tile(rng.random((50, 1)) < share, (1, 10)).astype(float)
        estimate = mean_interval(grid(values))
        held += estimate.low <= share <= estimate.high  # type: ignore[operator]
    assert held / runs < 0.7


def test_far_from_bounds_students_t_decides() -> None:
    rng = np.random.default_rng(4)
    effects = rng.standard_normal((100, 1)) + rng.standard_normal((1, 30)) + rng.standard_normal((100, 30))
    values = 1 / (1 + np.exp(-effects))
    bare, bounded = (mean_interval(grid(values, bounds)) for bounds in ((None, None), SHARE))
    widths = [e.high - e.low for e in (bare, bounded) if e.low is not None and e.high is not None]
    assert widths[0] <= widths[1] < 1.05 * widths[0]


def test_a_difference_joins_what_goes_up_and_what_goes_down() -> None:
    """Zou & Donner by hand, with the correlation of the two means."""
    rng = np.random.default_rng(5)
    apart = rng.choice([-1.0, 0.0, 1.0], (40, 8), p=[0.1, 0.6, 0.3])
    gains = table(*gains_of(apart))
    variance = spread_of_mean(gains.grouped_errors()).variance
    found = Gains(proportion(gains, 1, SHARE), proportion(gains, 2, SHARE), variance).margins(0.95)  # type: ignore[arg-type]
    up, down = (reach_of(gains, k, SHARE) for k in (1, 2))
    assert found is not None
    assert up is not None
    assert down is not None
    both, first, second = (float(spread_of_mean(gains.grouped_errors(k)).variance) for k in (0, 1, 2))
    r = (first + second - both) / (2 * np.sqrt(first * second))
    assert -1 < r < 0
    expected = up.below**2 + down.above**2 - 2 * r * up.below * down.above
    assert found.below == pytest.approx(np.sqrt(expected))


@pytest.mark.parametrize("common", [0.0, 0.1, 0.5])
@pytest.mark.slow
def test_a_rare_difference_of_methods_that_agree_is_held(common: float) -> None:
    """One method is the other but for 0.3 % of the pictures, whatever both do with the rest."""
    rng, share, runs, held = np.random.default_rng(6), 0.003, 200, 0
    for _ in range(runs):
        b = (rng.random((50, 10)) < common).astype(float)
        a = np.where(rng.random(b.shape) < share, 1.0, b)
        found = paired_difference(grid(a), grid(b), replicates=200).estimate
        assert found.low is not None
        assert found.high is not None
        held += found.low <= share * (1 - common) <= found.high
    assert held / runs >= 0.93


def test_two_methods_that_never_fail_are_not_known_to_be_the_same() -> None:
    never = grid(np.zeros((50, 10)))
    found = paired_difference(never, never, replicates=200)
    assert found.p_value == 1
    assert found.estimate.low == pytest.approx(-found.estimate.high)  # type: ignore[operator]
    assert 0.005 < found.estimate.high < 0.03  # type: ignore[operator]
    bare = paired_difference(*[grid(np.zeros((50, 10)), (None, None))] * 2, replicates=200)
    assert (bare.estimate.low, bare.estimate.high) == (0, 0)
