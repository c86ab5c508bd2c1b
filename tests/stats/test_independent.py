"""The difference of two groups of users is Welch's, with the user as the unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prefbench.api import Scores
from prefbench.stats.independent import group_difference, user_means


def scores(values: np.ndarray, each: int) -> Scores:
    """`each` samples a user, in order."""
    users = np.repeat([f"u{i:03d}" for i in range(len(values) // each)], each)
    return Scores(values, users, np.resize(["a", "b"], len(values)))


def test_it_is_welchs_formula_over_users() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.4, 1, 60), rng.normal(0, 2, 80)
    found = group_difference(scores(one, 2), scores(other, 4))
    x, y = one.reshape(-1, 2).mean(1), other.reshape(-1, 4).mean(1)
    parts = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    error = np.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(x) - 1) + parts[1] ** 2 / (len(y) - 1))
    reach = stats.t.ppf(0.975, freedom) * error
    assert found.difference == pytest.approx(x.mean() - y.mean())
    assert (found.low, found.high) == pytest.approx((found.difference - reach, found.difference + reach))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.difference) / error, freedom))
    assert (found.n_first, found.n_second) == (30, 20)


def test_equal_groups_are_told_apart_in_one_of_twenty() -> None:
    rng = np.random.default_rng(1)
    found = [group_difference(scores(rng.normal(size=40), 2), scores(rng.normal(size=20), 2)) for _ in range(300)]
    assert 0.02 < np.mean([one.p_value < 0.05 for one in found if one.p_value is not None]) < 0.09


def test_missing_values_are_left_out_and_one_user_has_no_interval() -> None:
    assert user_means(scores(np.array([1.0, np.nan, np.nan, np.nan, 3.0, 5.0]), 2)).tolist() == [1.0, 4.0]
    found = group_difference(scores(np.array([1.0, 2.0]), 2), scores(np.arange(4.0), 2))
    assert (found.low, found.p_value) == (None, None)
    with pytest.raises(ValueError, match="no user has a value"):
        user_means(scores(np.array([np.nan, np.nan]), 2))
