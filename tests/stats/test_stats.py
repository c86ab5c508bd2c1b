"""Intervals against simulations whose truth is known, tests against enumeration and hand-made values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from scipy.stats import permutation_test

from prefbench.api import Scores
from prefbench.stats.bootstrap import Rank, crossed_bootstrap, gap_closed, rank_intervals
from prefbench.stats.paired import holm, paired_difference
from prefbench.stats.permutation import label_swap, sign_flip
from prefbench.stats.scores import user_means
from prefbench.stats.table import Table


def grid(values: NDArray[np.float64], *, shared: bool = True) -> Scores:
    """Scores of a table users x prompts; NaN cells are left out."""
    rows, columns = np.nonzero(~np.isnan(values))
    prompts = columns if shared else rows * values.shape[1] + columns
    return Scores(values[rows, columns], rows.astype(str), prompts.astype(str))


def world(rng: np.random.Generator, users: int, prompts: int) -> NDArray[np.float64]:
    """A table of mean 0 with user effects, prompt effects and noise, all of variance 1."""
    cells = rng.standard_normal((users, prompts))
    return rng.standard_normal((users, 1)) + rng.standard_normal((1, prompts)) + cells


def item_bootstrap(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """What must not be done: the interval from resampling single samples."""
    means = [rng.choice(values.ravel(), values.size).mean() for _ in range(300)]
    low, high = np.quantile(means, [0.025, 0.975])
    return low, high


@pytest.mark.parametrize(("users", "prompts"), [(60, 15), (8, 12)])
def test_crossed_bootstrap_covers_and_item_bootstrap_does_not(users: int, prompts: int) -> None:
    rng, crossed, items, runs = np.random.default_rng(7), 0, 0, 400
    for run in range(runs):
        table = world(rng, users, prompts)
        estimate = crossed_bootstrap(grid(table), replicates=600, seed=run)
        assert estimate.low is not None
        assert estimate.high is not None
        crossed += estimate.low <= 0 <= estimate.high
        low, high = item_bootstrap(table, rng)
        items += low <= 0 <= high
    assert 0.92 <= crossed / runs <= 0.98
    assert items / runs < 0.85


def test_crossed_bootstrap_equals_resampling_rows_one_by_one() -> None:
    """The table's algebra against copying rows, with users of 1 to 6 samples, seeds within a cell, missing values."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), rng.integers(1, 7, 20))
    prompts = rng.integers(0, 8, len(users))
    values = users / 5 + prompts + rng.standard_normal(len(users))
    values[::11] = np.nan
    kept = ~np.isnan(values)
    weight = 1 / np.array([(users[kept] == user).sum() for user in users])
    means = []
    for _ in range(20_000):
        drawn_users, drawn_prompts = rng.integers(20, size=20), rng.integers(8, size=8)
        copies = (drawn_users[:, None] == users).sum(0) * (drawn_prompts[:, None] == prompts).sum(0) * weight
        means.append((copies * values)[kept].sum() / copies[kept].sum())
    table = Table.of(users.astype(str), prompts.astype(str), [values])
    tails = [0.01, 0.1, 0.5, 0.9, 0.99]
    assert np.quantile(table.replicate(20_000, 0)[:, 0], tails) == pytest.approx(np.quantile(means, tails), abs=0.06)
    assert table.means()[0] == pytest.approx((values * weight)[kept].sum() / 20)
    assert table.missing == (~kept).sum()


def test_prompts_of_one_user_are_drawn_with_the_user() -> None:
    table = world(np.random.default_rng(1), 400, 4)
    own, shared = crossed_bootstrap(grid(table, shared=False)), crossed_bootstrap(grid(table))
    error = table.mean(axis=1).std(ddof=1) / np.sqrt(400)
    assert [own.low, own.high] == pytest.approx([table.mean() - 1.96 * error, table.mean() + 1.96 * error], abs=0.01)
    assert shared.high - shared.low > 3 * (own.high - own.low)  # type: ignore[operator]
    users, prompts = (np.append(names, "x") for names in (grid(table).users, grid(table).prompts))
    mixed = Scores(np.append(table.ravel(), 5.0), users, prompts)
    assert crossed_bootstrap(mixed).n_prompts == 5


def test_every_user_counts_equally_and_missing_is_not_zero() -> None:
    scores = Scores(
        np.array([1.0, 1.0, 1.0, 4.0, np.nan, np.nan]),
        np.array(["a", "a", "a", "b", "b", "c"]),
        np.array(["p", "q", "r", "p", "q", "p"]),
    )
    estimate = crossed_bootstrap(scores)
    assert estimate.value == 2.5
    assert (estimate.n_users, estimate.n_prompts, estimate.n_samples, estimate.missing) == (2, 3, 4, 2)
    assert user_means(scores).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [1.0, 3.0]])
def test_fewer_than_two_users_have_no_interval(values: list[float]) -> None:
    scores = Scores(np.array(values), np.full(len(values), "a"), np.array([f"p{i}" for i in range(len(values))]))
    estimate = crossed_bootstrap(scores)
    assert estimate.value == (2.0 if values == [1.0, 3.0] else None)
    assert estimate.low is estimate.high is None


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    scores = grid(world(np.random.default_rng(2), 12, 6))
    assert crossed_bootstrap(scores, seed=3) == crossed_bootstrap(scores, seed=3)
    assert crossed_bootstrap(scores, seed=3) != crossed_bootstrap(scores, seed=4)


@pytest.mark.parametrize("n", [1, 5, 9])
def test_sign_flip_equals_enumeration(n: int) -> None:
    d = np.random.default_rng(n).standard_normal(n) + 0.4
    flips = [abs(np.dot(signs, d)) for signs in itertools.product([1, -1], repeat=n)]
    assert sign_flip(d) == np.mean(np.array(flips) >= abs(d.sum()) - 1e-9)


def test_sign_flip_of_many_users_agrees_with_scipy() -> None:
    d = np.random.default_rng(5).standard_normal(40) + 0.3
    rng = np.random.default_rng(0)
    reference = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=20_000, rng=rng)
    assert sign_flip(d, replicates=20_000) == pytest.approx(reference.pvalue, abs=0.01)
    assert sign_flip(np.full(40, 1.0), replicates=999) == 1 / 1000
    assert sign_flip(np.zeros(40)) == 1.0
    assert sign_flip(np.empty(0)) is None


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
    assert crossed / repeats <= 0.09
    assert flipped / repeats >= 0.2


def test_without_shared_prompts_the_p_value_is_that_of_students_t_over_users() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.3, 1, (14, 3))
    users, prompts = np.repeat([f"u{i:02d}" for i in range(14)], 3), np.array([f"p{i}" for i in range(42)])
    found = Table.of(users, prompts, [values.ravel()]).p_value()
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
    freedom = (between + excess) ** 2 / (between**2 / (n_users - 1) + excess**2 / (n_prompts - 1))
    expected = 2 * scipy.stats.t.sf(abs(mean) / np.sqrt(between + excess), freedom)
    assert Table.of(users, prompts, [values]).p_value() == pytest.approx(expected, rel=1e-9)


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
        p = Table.of(*names, [values.ravel()]).p_value()
        hits += p is not None and p < 0.05
    assert 0.025 <= hits / n <= 0.075


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
    assert gap_closed(grid(method), grid(floor), grid(ceiling)) == crossed_bootstrap(grid(method))


def test_gap_that_may_be_none_gives_a_share_without_interval() -> None:
    rng = np.random.default_rng(6)
    floor, ceiling = world(rng, 10, 4), world(rng, 10, 4)
    ceiling += 0.05 - (ceiling - floor).mean()
    found = gap_closed(grid(floor + 0.01), grid(floor), grid(ceiling))
    assert found.value == pytest.approx(0.2)
    assert found.low is found.high is None


def test_swapped_labels_of_a_mean_are_flipped_signs() -> None:
    differences = np.random.default_rng(3).normal(0.35, 1.0, 10)
    found = label_swap(10, lambda swapped: float(np.where(swapped, -1, 1) @ differences), replicates=8000)
    exact = sign_flip(differences)
    assert exact is not None
    assert 0.05 < exact < 0.95
    assert found == pytest.approx(exact, abs=0.02)


def test_swapped_labels_find_no_difference_between_methods_that_are_alike() -> None:
    rng, found = np.random.default_rng(4), []
    for _ in range(200):
        drawn = rng.standard_normal((2, 12))
        spread = lambda swapped: float(np.std(np.where(swapped, *drawn)) - np.std(np.where(swapped, *drawn[::-1])))  # noqa: E731, B023
        found.append(label_swap(12, spread, replicates=99))
    assert 0.01 <= np.mean(np.array(found) <= 0.05) <= 0.10


def test_holm_on_hand_made_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match="lie in"):
        holm([0.5, np.nan])


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
    assert same == {"a": Rank(1, 1, 1), "b": Rank(1, 1, 1)}


def test_scores_refuse_what_they_cannot_hold() -> None:
    names = np.array(["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        Scores(np.zeros(3), names, names)
    with pytest.raises(ValueError, match="infinite"):
        Scores(np.array([0.0, np.inf]), names, names)
    twice = Scores(np.zeros(2), names, names, np.array(["k", "k"]))
    with pytest.raises(ValueError, match="not unique"):
        paired_difference(twice, twice)
