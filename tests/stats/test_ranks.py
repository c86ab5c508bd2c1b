"""Rank correlations of methods over users and prompts, beside scipy's tau and a bootstrap that is written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from prefbench.api import FloatArray, Scores
from prefbench.stats.ranks import Standings, over_methods
from tests.support.tables import grid

METHODS, USERS, PROMPTS = 12, 20, 8


def worlds(seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Values (methods, users, prompts) in two worlds, whose means agree in part."""
    rng = np.random.default_rng(seed)
    means = np.linspace(0, 1, METHODS)[:, None, None]

    def one(order: FloatArray) -> FloatArray:
        users, prompts = rng.normal(0, 0.4, (METHODS, USERS, 1)), rng.normal(0, 0.2, (METHODS, 1, PROMPTS))
        return np.asarray(order + users + prompts + rng.normal(0, 0.3, (METHODS, USERS, PROMPTS)))

    return one(means), one(means + rng.normal(0, 0.25, means.shape))


def standings(values: FloatArray, seed: int = 0) -> Standings:
    return Standings.of([grid(of_method) for of_method in values], replicates=2000, seed=seed)


def test_tau_of_standings_is_that_of_scipy() -> None:
    one, other = worlds()
    tied = np.round(one.mean(axis=(1, 2)), 1)[:, None, None] + np.zeros_like(one)
    for a, b in ((one, other), (one, tied), (tied, tied)):
        expected = kendalltau(a.mean(axis=(1, 2)), b.mean(axis=(1, 2)), variant="b").statistic
        assert standings(a).correlation(standings(b))["value"] == pytest.approx(expected)


def test_methods_that_all_tie_have_no_correlation() -> None:
    one, _ = worlds()
    none = standings(one).correlation(standings(np.zeros_like(one)))
    assert (none["value"], none["low"], none["high"]) == (None, None, None)


def test_the_interval_is_that_of_a_bootstrap_written_out() -> None:
    """Users and prompts drawn in turn, alike in both worlds, since they have the same names."""
    one, other = worlds()
    rng, taus = np.random.default_rng(1), []
    for _ in range(800):
        users, prompts = rng.integers(USERS, size=USERS), rng.integers(PROMPTS, size=PROMPTS)
        drawn = [values[:, users][:, :, prompts].mean(axis=(1, 2)) for values in (one, other)]
        taus.append(kendalltau(*drawn).statistic)
    found = standings(one).correlation(standings(other))
    # Of 66 pairs of methods each counts 0.03, and ends of 800 replicates vary by about one of them.
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(taus, [0.025, 0.975]), abs=0.065)
    assert (found["n"], found["n_users"]) == (METHODS, USERS)


def test_prompts_of_one_user_are_part_of_the_user() -> None:
    """Then users alone are drawn, as `over_methods` does on their means."""
    one, other = (values.mean(axis=2) for values in worlds())
    names = np.array([f"u{i:02d}" for i in range(USERS)])
    a, b = (
        Standings.of([Scores(row, names, names) for row in values], replicates=2000, seed=0) for values in (one, other)
    )
    found, expected = a.correlation(b), over_methods(one, other, replicates=500, seed=3)
    assert found["value"] == pytest.approx(expected["value"])
    assert [found["low"], found["high"]] == pytest.approx([expected["low"], expected["high"]], abs=0.065)


def test_the_same_users_are_drawn_alike_and_others_apart() -> None:
    one, _ = worlds()
    own = standings(one).correlation(standings(one.copy()))
    assert (own["value"], own["low"], own["high"]) == pytest.approx((1.0, 1.0, 1.0))
    elsewhere = [grid(of_method) for of_method in one]
    renamed = [Scores(s.values, np.char.add("new ", s.users), s.prompts) for s in elsewhere]
    apart = standings(one).correlation(Standings.of(renamed, replicates=2000, seed=0))
    assert apart["value"] == pytest.approx(1.0)
    assert apart["low"] is not None
    assert apart["low"] < 0.95


def test_two_users_have_no_interval() -> None:
    few = standings(worlds()[0][:, :2])
    assert few.correlation(few)["low"] is None
