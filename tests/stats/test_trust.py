"""Which intervals are marked, and what the mark says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.studies import nothing
from prefbench.api import Estimate, FloatArray
from prefbench.stats.joint import gap_closed
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference
from prefbench.stats.strengths import strengths
from prefbench.stats.trust import constant_sentence, has_few_groups, is_constant
from tests.support.tables import grid


def table(users: int, prompts: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((users, prompts))


@pytest.mark.parametrize(
    ("users", "prompts", "few"), [(6, 20, True), (29, 20, True), (30, 20, False), (30, 19, True), (100, 20, False)]
)
def test_under_30_users_or_20_shared_prompts_are_few(users: int, prompts: int, few: bool) -> None:
    scores = grid(table(users, prompts))
    assert has_few_groups(mean_interval(scores)) is few
    assert has_few_groups(paired_difference(scores, nothing(scores), replicates=100).estimate) is few
    strong = strengths({"a": scores, "b": grid(table(users, prompts)[::-1])})
    assert {has_few_groups(one) for one in strong.values()} == {few}


def test_prompts_that_do_not_count_for_an_interval_are_not_too_few() -> None:
    """Those of single users, and two or three whose interval is over users alone; the latter says so itself."""
    assert not has_few_groups(mean_interval(grid(table(30, 5), shared=False)))
    assert not has_few_groups(mean_interval(grid(table(30, 3))))
    assert has_few_groups(mean_interval(grid(table(29, 3))))


def test_shared_prompts_count_and_not_all_that_there_are() -> None:
    values = np.full((30, 45), np.nan)
    values[:, :5] = table(30, 5)
    values[np.arange(20), np.arange(5, 25)] = table(20, 1)[:, 0]
    one = mean_interval(grid(values))
    assert (one.n_prompts, one.shared, has_few_groups(one)) == (25, 5, True)


def test_without_an_interval_nothing_is_marked() -> None:
    assert not has_few_groups(mean_interval(grid(table(1, 5))))
    assert not is_constant(mean_interval(grid(np.zeros((1, 5)))))


def test_equal_values_are_told_from_values_that_differ_in_one_place() -> None:
    zeros = grid(np.zeros((20, 10)))
    scores, other = replace(zeros, bounds=(0.0, 1.0)), np.zeros((20, 10))
    other[3, 4] = 1.0
    assert is_constant(mean_interval(scores))
    assert is_constant(paired_difference(scores, scores, replicates=100).estimate)
    assert is_constant(mean_interval(grid(np.full((20, 10), 0.1))))
    assert not is_constant(mean_interval(replace(grid(other), bounds=(0.0, 1.0))))


def test_rows_that_were_stored_without_counts_are_told_by_what_they_hold() -> None:
    row = Estimate(0.0, 0.0, 0.004, 100, 20, 2000, 0, n_pairs=2000)
    assert is_constant(row)
    assert not has_few_groups(row)
    assert has_few_groups(replace(row, n_prompts=19))
    assert not has_few_groups(replace(row, n_prompts=200, n_pairs=200))
    assert not is_constant(replace(row, value=0.001))


def test_the_floor_and_the_ceiling_of_a_gap_are_exact_and_not_marked() -> None:
    floor, ceiling = grid(table(20, 10)), grid(table(20, 10) + 1 + np.abs(table(20, 10)))
    assert gap_closed(ceiling, floor, ceiling).value == 1.0
    assert not is_constant(gap_closed(ceiling, floor, ceiling))
    assert not is_constant(gap_closed(floor, floor, ceiling))
    assert not is_constant(Estimate(1.0, 1.0, 1.0, 100, 10, 1000, 0, n_pairs=1000))


def test_the_line_says_how_many_users_and_prompts_of_another_kind_may_be_unseen() -> None:
    """0.95 = 1 - (1 - 0.259)^10."""
    line = constant_sentence([mean_interval(grid(np.zeros((100, 10))))])
    assert "up to 3 % of users (100 alike) and 26 % of prompts (10 alike) differ as a whole may stay unseen" in line
    assert "of prompts" not in constant_sentence([mean_interval(grid(np.zeros((100, 10)), shared=False))])
