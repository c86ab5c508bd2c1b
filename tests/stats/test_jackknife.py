"""The jackknife's interval against the standard error of a mean, of which it is exact."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from prefbench.stats.jackknife import jackknife_half_width, jackknife_test


def left_out(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float | None]:
    """The mean without each value."""
    return [float(np.delete(values, i).mean()) for i in range(len(values))]


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_of_a_mean_it_is_students_interval(level: float) -> None:
    values = np.random.default_rng(0).standard_normal(12)
    expected = scipy.stats.t.ppf((1 + level) / 2, 11) * scipy.stats.sem(values)
    assert jackknife_half_width([left_out(values), []], level=level) == pytest.approx(expected)


def test_variances_of_users_and_prompts_add_up_with_the_degrees_of_freedom_of_the_fewer() -> None:
    users, prompts = (np.random.default_rng(seed).standard_normal(n) for seed, n in ((1, 20), (2, 5)))
    variance = scipy.stats.sem(users) ** 2 + scipy.stats.sem(prompts) ** 2
    expected = scipy.stats.t.ppf(0.975, 4) * np.sqrt(variance)
    assert jackknife_half_width([left_out(users), left_out(prompts)]) == pytest.approx(expected)


FOUR: list[float | None] = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "values",
    [[[1.0, 2.0], []], [[], []], [[1.0, 2.0, None], []], [FOUR, [None, *FOUR]], [FOUR, FOUR[:3]], [FOUR, [1.0]]],
)
def test_too_few_or_missing_values_have_no_interval(values: list[list[float | None]]) -> None:
    assert jackknife_half_width(values) is None
    assert jackknife_test(1.0, values) is None


def test_of_a_mean_by_users_alone_the_test_is_students() -> None:
    values = np.random.default_rng(0).standard_normal(12) + 0.5
    found = jackknife_test(float(values.mean()), [left_out(values), []])
    expected = scipy.stats.ttest_1samp(values, 0)
    assert found is not None
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.half_width == pytest.approx(values.mean() - expected.confidence_interval().low)


def test_the_interval_of_a_difference_holds_0_where_the_p_value_is_above_its_level() -> None:
    for seed in range(50):
        users, prompts = (np.random.default_rng((seed, n)).standard_normal(n) for n in (9, 5))
        difference = float(np.random.default_rng(seed).standard_normal())
        found = jackknife_test(difference, [left_out(users), left_out(prompts)])
        assert found is not None
        assert (abs(difference) <= found.half_width) == (found.p_value >= 0.05)


def test_equal_methods_that_never_differ_have_p_1() -> None:
    assert jackknife_test(0.0, [[0.0] * 5, [0.0] * 5]) == (0.0, 1.0)
    assert jackknife_test(2.0, [[2.0] * 5, []]) == (0.0, 0.0)
