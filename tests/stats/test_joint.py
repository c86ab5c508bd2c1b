"""Methods that are resampled together: shares of a gap, and ranks."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.stats.joint import Rank, gap_closed, rank_intervals
from prefbench.stats.means import mean_interval
from tests.support.tables import grid, world


def test_gap_closed_at_its_ends_and_between() -> None:
    rng = np.random.default_rng(4)
    floor = world(rng, 40, 8)
    ceiling = floor + 2 + 0.3 * rng.standard_normal((40, 1))
    between = floor + 0.25 * (ceiling - floor) + 0.05 * rng.standard_normal(floor.shape)
    f, c, m = grid(floor), grid(ceiling), grid(between)
    found = gap_closed(m, f, c)
    assert found.value == pytest.approx(0.25, abs=0.01)
    assert found.low is not None
    assert found.high is not None
    assert 0.22 < found.low < 0.25 < found.high < 0.28
    at_end = gap_closed(c, f, c)
    assert [at_end.value, at_end.low, at_end.high] == pytest.approx([1, 1, 1])
    assert gap_closed(f, f, c).value == 0
    reverse = gap_closed(m, c, f)
    assert reverse.value is reverse.low is reverse.high is None
    assert reverse.n_users == 40


def test_share_of_a_gap_of_one_is_the_mean_itself() -> None:
    method = world(np.random.default_rng(9), 6, 20)
    floor, ceiling = np.zeros_like(method), np.ones_like(method)
    found, mean = gap_closed(grid(method), grid(floor), grid(ceiling)), mean_interval(grid(method))
    assert [found.value, found.low, found.high] == pytest.approx([mean.value, mean.low, mean.high], abs=1e-6)


def test_gap_that_may_be_none_gives_a_share_without_interval() -> None:
    rng = np.random.default_rng(6)
    floor, ceiling = world(rng, 10, 4), world(rng, 10, 4)
    ceiling += 0.05 - (ceiling - floor).mean()
    found = gap_closed(grid(floor + 0.01), grid(floor), grid(ceiling))
    assert found.value == pytest.approx(0.2)
    assert found.low is found.high is None


def test_rank_intervals_separate_what_differs_and_only_that() -> None:
    rng = np.random.default_rng(8)
    base = world(rng, 50, 10)
    noise = 0.5 * rng.standard_normal((3, *base.shape))
    methods = {"best": base + 1, "twin": base + noise[0], "other": base + noise[1] + 0.001, "worst": base - 1}
    ranks = rank_intervals({name: grid(table) for name, table in methods.items()})
    assert ranks["best"] == Rank(1, 1, 1)
    assert ranks["worst"] == Rank(4, 4, 4)
    assert {(ranks[n].low, ranks[n].high) for n in ("twin", "other")} == {(2, 3)}
    lower = rank_intervals({name: grid(table) for name, table in methods.items()}, higher_is_better=False)
    assert (lower["best"].rank, lower["worst"].rank) == (4, 1)
    same = rank_intervals({"a": grid(base), "b": grid(base)})
    assert same == {"a": Rank(1, 1, 2), "b": Rank(1, 1, 2)}, "nothing says that they are equal in truth"


def test_means_that_differ_by_rounding_share_a_rank() -> None:
    base = world(np.random.default_rng(1), 12, 6)
    rounded = (base * 3 + 0.1).astype(np.float32).astype(np.float64)
    ranks = rank_intervals({"a": grid(base * 3 + 0.1), "b": grid(rounded), "c": grid(base - 9)})
    assert [one.rank for one in ranks.values()] == [1, 1, 3]


@pytest.mark.slow
@pytest.mark.parametrize(("users", "prompts"), [(10, 4), (30, 10), (100, 5)])
@pytest.mark.parametrize("by_prompt", [0.0, 0.5])
def test_intervals_of_six_equal_methods_hold_all_six_ranks(users: int, prompts: int, by_prompt: float) -> None:
    rng, hits, repeats = np.random.default_rng(4), 0, 200
    for _ in range(repeats):
        shape = (6, users, 1), (6, 1, prompts), (6, users, prompts)
        tables = [size * rng.standard_normal(s) for size, s in zip((0.3, by_prompt, 1.0), shape, strict=True)]
        methods = {str(i): grid(table) for i, table in enumerate(tables[0] + tables[1] + tables[2])}
        hits += all((r.low, r.high) == (1, 6) for r in rank_intervals(methods, replicates=500).values())
    # At least .93 of the binomial of 200 at .95 lies above this.
    assert hits / repeats >= 0.92
