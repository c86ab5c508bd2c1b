"""Paired differences: rows by key, p values where prompts are shared, Holm's adjustment."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from prefbench.api import FloatArray, Scores
from prefbench.stats.paired import holm, paired_difference
from prefbench.stats.permutation import sign_flip
from prefbench.stats.scores import user_means
from prefbench.stats.student import student_p_value
from prefbench.stats.table import Table
from prefbench.stats.variance import spread_of_mean
from tests.support.tables import grid, world


def student(users: NDArray[np.str_], prompts: NDArray[np.str_], values: FloatArray) -> float:
    """Student's t over users and prompts alone."""
    table = Table.of(users, prompts, [values])
    return float(student_p_value(table.means()[0], spread_of_mean(table.grouped_errors())))


def test_paired_difference_matches_rows_by_key_and_removes_what_is_common() -> None:
    rng = np.random.default_rng(3)
    common = world(rng, 30, 8)
    base = grid(common)
    keys = np.array([f"{u}/{p}" for u, p in zip(base.users, base.prompts, strict=True)])
    a = Scores(base.values + 0.2 + 0.1 * rng.standard_normal(len(base)), base.users, base.prompts, keys)
    order = rng.permutation(len(base))
    b = Scores(base.values[order], base.users[order], base.prompts[order], keys[order])
    b.values[:4] = np.nan
    found = paired_difference(a, b)
    assert found.estimate.value == pytest.approx(0.2, abs=0.02)
    assert found.estimate.low is not None
    assert found.estimate.low > 0.15
    assert found.estimate.missing == 4
    assert found.p_value is not None
    assert found.p_value < 0.001
    with pytest.raises(ValueError, match="keys differ"):
        paired_difference(a, Scores(b.values[1:], b.users[1:], b.prompts[1:], b.keys[1:]))  # type: ignore[index]
    with pytest.raises(ValueError, match="users differ"):
        paired_difference(base, Scores(base.values, base.users[::-1], base.prompts))


@pytest.mark.slow
def test_p_values_hold_where_prompts_are_shared() -> None:
    """With no difference but in the prompts at hand, at most about 5 % are below 0.05; sign flips alone find many."""
    rng, repeats, crossed, flipped = np.random.default_rng(11), 150, 0, 0
    for _ in range(repeats):
        table = 0.1 * rng.standard_normal((40, 1)) + 0.1 * rng.standard_normal(8) + 0.3 * rng.standard_normal((40, 8))
        scores = grid(table)
        nothing = Scores(np.zeros(len(scores)), scores.users, scores.prompts)
        p = paired_difference(scores, nothing, replicates=400).p_value
        crossed += p is not None and p < 0.05
        flipped += (sign_flip(user_means(scores), replicates=400) or 0) < 0.05
    # .07, and what 150 repeats leave to chance
    assert crossed / repeats <= 0.1
    assert flipped / repeats >= 0.2


def test_without_shared_prompts_the_p_value_is_that_of_students_t_over_users() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.3, 1, (14, 3))
    users, prompts = np.repeat([f"u{i:02d}" for i in range(14)], 3), np.array([f"p{i}" for i in range(42)])
    found = student(users, prompts, values.ravel())
    assert found == pytest.approx(scipy.stats.ttest_1samp(values.mean(1), 0).pvalue, rel=1e-9)


def test_the_variance_of_a_p_value_is_users_and_what_prompts_add_beyond_their_cells() -> None:
    """By loops over users, prompts and cells, with users who miss some prompts."""
    rng = np.random.default_rng(4)
    rows = [(u, p) for u in range(12) for p in range(6) if rng.random() < 0.7]
    values = np.array([0.2 + rng.normal() + (p - 2.5) for _, p in rows])
    users, prompts = (np.array([f"{kind}{row[side]:02d}" for row in rows]) for side, kind in enumerate("up"))
    weights = np.array([1 / sum(u == other for other, _ in rows) for u, _ in rows])
    mean = (weights * values).sum() / weights.sum()
    errors = weights * (values - mean) / weights.sum()

    def variance(groups: list[str]) -> float:
        names = sorted(set(groups))
        sums = [sum(e for e, g in zip(errors, groups, strict=True) if g == name) for name in names]
        return sum(s * s for s in sums) * len(names) / (len(names) - 1)

    between = variance(users.tolist())
    excess = variance(prompts.tolist()) - variance([f"{u} {p}" for u, p in rows])
    assert excess > 0
    n_users, n_prompts = len(set(users)), len(set(prompts))
    of_prompts = variance(prompts.tolist())
    freedom = (between + excess) ** 2 / (between**2 / (n_users - 1) + of_prompts**2 / (n_prompts - 1))
    expected = 2 * scipy.stats.t.sf(abs(mean) / np.sqrt(between + excess), freedom)
    assert student(users, prompts, values) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("users", "prompts", "spread"),
    [(50, 10, (0, 0)), (20, 5, (0, 0)), (50, 10, (0.7, 0)), (60, 8, (0.3, 0.5)), (30, 20, (0.5, 0.5))],
    ids=["identical", "identical, few", "users differ", "prompts differ", "both differ"],
)
def test_methods_that_are_alike_are_called_different_in_about_one_case_of_twenty(
    users: int, prompts: int, spread: tuple[float, float]
) -> None:
    rng, hits, n = np.random.default_rng(5), 0, 1000
    names = np.repeat([f"u{i}" for i in range(users)], prompts), np.tile([f"p{i}" for i in range(prompts)], users)
    for _ in range(n):
        by_user, by_prompt = spread[0] * rng.standard_normal((users, 1)), spread[1] * rng.standard_normal(prompts)
        values = by_user + by_prompt + rng.standard_normal((users, prompts))
        hits += student(*names, values.ravel()) < 0.05
    assert 0.02 <= hits / n <= 0.075


def test_holm_on_hand_made_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match="lie in"):
        holm([0.5, np.nan])


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [1, 2, 16])
def test_holm_is_that_of_statsmodels_to_the_last_bit(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for n in (1, 2, 3, 5, 9, 17, 29):  # statsmodels collects garbage in every call
        p = rng.random(n).round(decimals)
        assert holm(p.tolist()).tolist() == multipletests(p, method="holm")[1].tolist()
