"""Effect sizes by hand, and leaving one out against testing the others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import Scores
from prefbench.stats.effects import Effect, effect
from prefbench.stats.leave_one_out import leave_one_out
from prefbench.stats.paired import paired_difference


def scores(values: NDArray[np.float64]) -> Scores:
    """Of a table users x prompts."""
    rows, columns = np.indices(values.shape).reshape(2, -1)
    return Scores(values.ravel(), np.char.add("u", rows.astype(str)), np.char.add("p", columns.astype(str)))


def test_effect_sizes_by_hand() -> None:
    a, b = (
        scores(np.array([[3.0, 1.0], [2.0, 2.0], [0.0, 1.0]])),
        scores(np.array([[1.0, 1.0], [2.0, 2.0], [2.0, 1.0]])),
    )
    # Users' differences are 1, 0 and -1: a win, a tie, a loss.
    assert effect(a, b) == Effect(0.0, 0.5)
    shifted = Scores(a.values + 1, a.users, a.prompts)
    assert effect(shifted, b).dz == 1.0
    assert effect(shifted, b).wins == pytest.approx((2 + 0.5) / 3)
    assert effect(a, a) == Effect(None, 0.5)
    nothing = Scores(np.full(6, np.nan), a.users, a.prompts)
    assert effect(a, nothing) == Effect(None, None)


@pytest.mark.parametrize("users", [9, 40])
def test_leaving_one_out_equals_testing_the_others(users: int) -> None:
    """The values exactly, p values within what 10,000 replicates leave to chance."""
    rng = np.random.default_rng(users)
    table = 0.35 + 0.5 * rng.standard_normal((users, 1)) + 0.2 * rng.standard_normal(8)
    table = table + 0.5 * rng.standard_normal((users, 8))
    a, b = scores(table), scores(np.zeros_like(table))
    found = leave_one_out(a, b)
    assert found.names == [*(f"user {u}" for u in np.unique(a.users)), *(f"prompt p{i}" for i in range(8))]
    for name, value, p in zip(found.names, found.values, found.p_values, strict=True):
        what, one = name.split(" ")
        kept = (a.users if what == "user" else a.prompts) != one
        rest = paired_difference(*(Scores(s.values[kept], s.users[kept], s.prompts[kept]) for s in (a, b)))
        assert value == pytest.approx(rest.estimate.value)
        assert p == pytest.approx(rest.p_value, abs=0.02)


def test_of_few_users_every_flip_of_the_others_is_counted() -> None:
    """Seven users of one prompt who all gain: without one, 2 of the 64 flips of the others are as extreme."""
    gains = scores(1 + 0.01 * np.arange(7.0)[:, None])
    found = leave_one_out(gains, scores(np.zeros((7, 1))))
    assert found.p_values.tolist() == [2 / 64] * 7


def test_nothing_is_left_out_of_too_few() -> None:
    two, three = scores(np.ones((2, 5))), scores(np.arange(6.0).reshape(3, 2))
    assert leave_one_out(two, scores(np.zeros((2, 5)))).names == []
    assert leave_one_out(three, scores(np.zeros((3, 2)))).names == ["user u0", "user u1", "user u2"]
    own = Scores(np.arange(8.0), np.repeat(["a", "b", "c", "d"], 2), np.array([f"p{i}" for i in range(8)]))
    assert len(leave_one_out(own, Scores(np.zeros(8), own.users, own.prompts)).names) == 4


@pytest.mark.parametrize("bounds", [(None, None), (0.0, 1.0)])
def test_all_tests_without_each_are_those_of_the_other_rows(bounds: tuple[float | None, float | None]) -> None:
    """To the last digits but those that come from counting pairs, for skewed values of 11 users, all flips counted."""
    rng = np.random.default_rng(5)
    values = (rng.gamma(0.4, 0.4, (2, 11, 1)) + rng.gamma(0.4, 0.1, (2, 11, 12)) + [[[0.1]], [[0.0]]]).clip(0, 1)
    a, b = (Scores(s.values, s.users, s.prompts, bounds=bounds) for s in (scores(values[0]), scores(values[1])))
    found = leave_one_out(a, b)
    assert len(found.names) == 23
    for name, p in zip(found.names, found.p_values, strict=True):
        kept = ~np.isin(a.users, name.split(" ")[1]) & ~np.isin(a.prompts, name.split(" ")[1])
        rest = paired_difference(a.select(kept), b.select(kept)).p_value
        assert p == pytest.approx(rest, rel=1e-6 if bounds == (None, None) else 0.02)
