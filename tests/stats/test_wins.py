"""Win rates against a count by hand, and against the paired difference of two proportions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from prefbench.api import FloatArray, Scores
from prefbench.stats.paired import paired_difference
from prefbench.stats.wins import win_rate
from tests.support.tables import grid


def counted(a: Scores, b: Scores) -> float:
    """The mean over users of a user's wins and half of the ties, row by row."""
    shares: dict[str, list[float]] = {}
    for user, one, other in zip(a.users, a.values, b.values, strict=True):
        if not (np.isnan(one) or np.isnan(other)):
            shares.setdefault(str(user), []).append(1.0 if one > other else 0.0 if one < other else 0.5)
    return float(np.mean([np.mean(own) for own in shares.values()]))


def scores(rng: np.random.Generator, users: int = 20, prompts: int = 6) -> Scores:
    return grid(rng.integers(0, 5, (users, prompts)) / 5)


def test_it_is_the_share_of_wins_with_half_of_the_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = scores(rng), scores(rng)
        a.values[rng.random(len(a)) < 0.1] = np.nan
        one = win_rate(a, b).estimate
        assert one.value == pytest.approx(counted(a, b))
        assert one.missing == int(np.isnan(a.values).sum())
        assert one.n_samples == len(a) - one.missing


def test_the_interval_and_p_are_those_of_wins_minus_losses_as_paired_proportions() -> None:
    rng = np.random.default_rng(1)
    a, b = scores(rng), scores(rng)
    won, lost = (
        replace(a, values=v.astype(float), bounds=(0.0, 1.0)) for v in (a.values > b.values, a.values < b.values)
    )
    excess, one = paired_difference(won, lost), win_rate(a, b)
    for name in ("value", "low", "high"):
        assert 2 * getattr(one.estimate, name) - 1 == pytest.approx(getattr(excess.estimate, name))
    assert one.p_value == excess.p_value


def test_turned_round_it_is_what_is_left_of_one() -> None:
    rng = np.random.default_rng(2)
    a, b = scores(rng), scores(rng)
    one, other = win_rate(a, b), win_rate(b, a)
    assert one.estimate.value == pytest.approx(1 - (other.estimate.value or 0))
    assert one.estimate.low == pytest.approx(1 - (other.estimate.high or 0))
    assert one.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_values_that_differ_by_rounding_are_tied_and_small_ones_are_not(size: float) -> None:
    values = size * np.random.default_rng(3).random((12, 5))
    same = grid(values.astype(np.float32).astype(float))
    assert win_rate(grid(values), same).estimate.value == 0.5
    assert win_rate(grid(values + 1e-4 * size), grid(values)).estimate.value == 1.0


def test_pictures_that_are_all_alike_are_even_and_p_is_1() -> None:
    one = win_rate(grid(np.full((10, 4), 0.3)), grid(np.full((10, 4), 0.3)))
    assert (one.estimate.value, one.p_value) == (0.5, 1.0)
    assert one.estimate.low is not None
    assert one.estimate.low < 0.5, "rare exceptions remain possible"


def test_always_winning_stays_within_bounds_and_five_users_exclude_nothing() -> None:
    def always(users: int) -> FloatArray:
        return np.random.default_rng(4).random((users, 5)) * 0.1

    many, few = (win_rate(grid(0.5 + always(n)), grid(always(n))) for n in (30, 5))
    assert many.estimate.value == many.estimate.high == 1.0
    assert many.estimate.low is not None
    assert 0.5 < many.estimate.low < 1
    assert (many.p_value or 1) < 0.001
    assert (few.estimate.low, few.estimate.high) == (0.0, 1.0)
    assert (few.p_value or 0) > 0.05


def test_of_one_prompt_for_each_user_it_is_close_to_the_binomial_test() -> None:
    """Wins of unrelated users without ties: the sign test."""
    rng = np.random.default_rng(5)
    users = np.array([f"user {i:03}" for i in range(80)])
    for share in (0.5, 0.6, 0.7):
        won = rng.random(80) < share
        a, b = (Scores(v.astype(float), users, users) for v in (won, ~won))
        test, one = binomtest(int(won.sum()), 80), win_rate(a, b)
        exact = test.proportion_ci(method="exact")
        assert one.estimate.low == pytest.approx(exact.low, abs=0.03)
        assert one.estimate.high == pytest.approx(exact.high, abs=0.03)
        assert one.p_value == pytest.approx(test.pvalue, abs=0.06)


def test_nothing_in_common_is_no_number() -> None:
    a = grid(np.zeros((6, 4)))
    a.values[:] = np.nan
    one = win_rate(a, grid(np.zeros((6, 4))))
    assert (one.estimate.value, one.p_value, one.estimate.missing) == (None, None, 24)


@pytest.mark.slow
def test_of_methods_that_are_alike_about_one_in_twenty_is_called_better() -> None:
    rng, called, n = np.random.default_rng(6), 0, 400
    for _ in range(n):
        prompts = rng.standard_normal((1, 8))
        a, b = (grid(prompts + rng.standard_normal((25, 8))) for _ in range(2))
        called += (win_rate(a, b, replicates=500).p_value or 1) < 0.05
    assert called / n <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / n)
