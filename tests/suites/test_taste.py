"""Tastes against brute force over every style of the world, and the population they make."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from prefbench.api import SPLITS, FloatArray, Split
from prefbench.suites.picturebook.users.population import SPLIT_SIZES, SimulatedUser, population
from prefbench.suites.picturebook.users.sampling import sample_spec
from prefbench.suites.picturebook.users.taste import (
    TASTE_GROUPS,
    Bonus,
    Leaning,
    Taste,
    TasteSpec,
)
from prefbench.suites.picturebook.users.worlds import FIRST, SHARPNESS, UserKind
from prefbench.suites.picturebook.world.axes import AXIS, STYLE, STYLE_NAMES, IntArray, group_axes, sample_styles

EVERY_STYLE: IntArray = np.stack([i.ravel() for i in np.indices([len(axis) for axis in STYLE])], axis=1)
"""(87480, 9)"""
PRIOR: FloatArray = np.prod([np.array(axis.prior)[EVERY_STYLE[:, a]] for a, axis in enumerate(STYLE)], axis=0)
KINDS = dict(FIRST.kinds)
SPECS = [sample_spec(np.random.default_rng([k, seed]), kind) for k, kind in enumerate(KINDS) for seed in range(3)]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)


def by_hand(spec: TasteSpec) -> FloatArray:
    """The utility of every style, before normalisation, summed up one style axis after another."""

    def additive(leanings: tuple[Leaning, ...]) -> FloatArray:
        total = np.zeros(len(EVERY_STYLE))
        for leaning in leanings:
            total += np.array(leaning.scores)[EVERY_STYLE[:, STYLE_NAMES.index(leaning.axis)]]
        return total

    total = additive(spec.leanings)
    if spec.second:
        total = np.maximum(total, additive(spec.second))
    if spec.bonus is not None:
        met = [
            EVERY_STYLE[:, STYLE_NAMES.index(axis)] == value for axis, value in (spec.bonus.first, spec.bonus.second)
        ]
        total += spec.bonus.weight * (met[0] & met[1])
    return total


def normalised(values: FloatArray, weights: FloatArray) -> FloatArray:
    mean = (values * weights).sum()
    return np.asarray((values - mean) / (values.max() - mean))


def one_hot(styles: IntArray) -> dict[str, FloatArray]:
    return {axis.name: np.eye(len(axis))[styles[:, a]] for a, axis in enumerate(STYLE)}


def test_the_world_has_87480_styles() -> None:
    assert EVERY_STYLE.shape == (87_480, 9)
    assert PRIOR.sum() == pytest.approx(1)


@each_spec
def test_utility_is_the_sum_by_hand_normalised(spec: TasteSpec) -> None:
    utility = Taste.of(spec).of_styles(EVERY_STYLE)
    np.testing.assert_allclose(utility, normalised(by_hand(spec), PRIOR), atol=1e-12)
    assert (utility * PRIOR).sum() == pytest.approx(0, abs=1e-12)
    assert utility.max() == pytest.approx(1)


@each_spec
def test_certain_readings_give_the_utility_of_the_style(spec: TasteSpec) -> None:
    taste, styles = Taste.of(spec), sample_styles(np.random.default_rng(0), 200, uniform=STYLE_NAMES)
    np.testing.assert_allclose(taste.of_probabilities(one_hot(styles)), taste.of_styles(styles), atol=1e-12)


@each_spec
def test_uncertain_readings_give_the_expected_utility(spec: TasteSpec) -> None:
    """With the prior as reading the expectation is 0; otherwise it is the mean over all styles."""
    taste = Taste.of(spec)
    prior = {axis.name: np.array([axis.prior]) for axis in STYLE}
    assert taste.of_probabilities(prior)[0] == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(1)
    read = {axis.name: rng.dirichlet(np.ones(len(axis)), size=1) for axis in STYLE}
    weights = np.prod([read[axis.name][0][EVERY_STYLE[:, a]] for a, axis in enumerate(STYLE)], axis=0)
    assert taste.of_probabilities(read)[0] == pytest.approx((taste.of_styles(EVERY_STYLE) * weights).sum())


@each_spec
@pytest.mark.parametrize("group", TASTE_GROUPS)
def test_a_group_is_the_mean_over_the_other_axes(spec: TasteSpec, group: str) -> None:
    inside = [a for a, axis in enumerate(STYLE) if axis.name in group_axes(group)]  # type: ignore[arg-type]
    cells = np.ravel_multi_index(EVERY_STYLE[:, inside].T, [len(STYLE[a]) for a in inside])
    mass = np.bincount(cells, PRIOR).astype(float)
    means = np.bincount(cells, PRIOR * by_hand(spec)) / mass
    expected = normalised(means, mass)[cells]
    taste = Taste.of(spec).group(group)  # type: ignore[arg-type]
    np.testing.assert_allclose(taste.of_styles(EVERY_STYLE), expected, atol=1e-10)
    assert set(taste.axes) <= set(group_axes(group))  # type: ignore[arg-type]


@each_spec
def test_best_is_a_style_of_utility_one(spec: TasteSpec) -> None:
    taste = Taste.of(spec)
    best = taste.best()
    assert tuple(best) == taste.axes
    style = np.array([[best.get(name, 0) for name in STYLE_NAMES]])
    assert taste.of_styles(style)[0] == pytest.approx(1)


def test_two_tastes_take_the_better_one() -> None:
    """Blue skies or red ones, each with its own line; half of one and half of the other pleases less."""
    first = (Leaning("palette", (1.0, 0, 0, 0, 0, 0)), Leaning("line", (1.0, 0, 0)))
    second = (Leaning("palette", (0, 1.0, 0, 0, 0, 0)), Leaning("line", (0, 1.0, 0)))
    taste = Taste.of(TasteSpec("two tastes", first, second))
    blue, red, mixed = taste.of_styles(styles(palette=[0, 1, 0], line=[0, 1, 1]))
    assert blue == red == pytest.approx(1)
    assert mixed < 0.6


def test_a_bonus_needs_both_values() -> None:
    spec = TasteSpec(
        "interacting", (Leaning("fill", (0.1, 0, 0)),), bonus=Bonus(("palette", 0), ("background", 1), 1.0)
    )
    both, one, other, none = Taste.of(spec).of_styles(styles(palette=[0, 0, 1, 1], background=[1, 0, 1, 0]))
    assert both == pytest.approx(1)
    assert one == other == none < 0.2


def styles(**columns: list[int]) -> IntArray:
    """Styles with these values on some axes and 0 on the others."""
    n = len(next(iter(columns.values())))
    return np.stack([np.array(columns.get(name, [0] * n)) for name in STYLE_NAMES], axis=1)


def test_a_taste_without_preferences_is_refused() -> None:
    with pytest.raises(ValueError, match="every style is equal"):
        Taste.of(TasteSpec("consistent", (Leaning("line", (0.0, 0.0, 0.0)),)))


# ----------------------------------------------------------------------------------------------- population


@pytest.mark.parametrize("split", [split for split in SPLITS if split != "shifted"])
def test_kinds_stand_in_their_stated_shares(split: Split) -> None:
    users = population(split)
    assert len(users) == SPLIT_SIZES[split]
    assert Counter(user.kind for user in users) == {kind: share * len(users) for kind, share in KINDS.items()}
    assert [user.id for user in users] == [f"{split}-{i:04d}" for i in range(len(users))]


def test_kinds_are_not_sorted() -> None:
    kinds = [user.kind for user in population("test")]
    assert len(set(kinds[:20])) >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_has_the_parts_of_its_kind(kind: UserKind) -> None:
    spec = sample_spec(np.random.default_rng(0), kind)
    assert bool(spec.second) == (kind == "two tastes")
    assert (spec.bonus is not None) == (kind == "interacting")
    assert (SHARPNESS[kind] < SHARPNESS["consistent"]) == (kind == "noisy")
    assert all(len(leaning.scores) == len(AXIS[leaning.axis]) for leaning in spec.leanings)


def test_most_axes_leave_a_user_cold() -> None:
    counted = [len(user.taste.axes) for user in population("train") if user.kind in ("consistent", "noisy", "sparse")]
    assert np.mean(counted) < len(STYLE) / 2
    assert (min(counted), max(counted)) == (3, 5)


def test_every_axis_counts_for_some_and_every_group_for_all() -> None:
    users = population("train")
    used = Counter(name for user in users for name in user.taste.axes)
    assert min(used[name] for name in STYLE_NAMES) > 0.25 * len(users)
    for user in users:
        assert all(set(user.taste.axes) & set(group_axes(group)) for group in TASTE_GROUPS)


def test_silent_axes_carry_about_a_third_of_the_utility() -> None:
    """What the best style gains over the prior's mean on the silent axes alone, and their share of the variance."""
    shares = np.array([silent_shares(user) for user in population("scorer")])
    gain, variance = shares.mean(0)
    assert 0.28 < gain < 0.40
    assert 0.28 < variance < 0.42


def silent_shares(user: SimulatedUser) -> tuple[float, float]:
    """Shares of the silent group in the sum over groups of (best - mean) and of the variance, both under the prior."""
    gains, variances = {}, {}
    for group in TASTE_GROUPS:
        table = np.array(user.taste.table)
        for position in reversed(range(table.ndim)):
            if user.taste.axes[position] not in group_axes(group):
                table = np.tensordot(table, AXIS[user.taste.axes[position]].prior, axes=(position, 0))
        weights = np.ones(())
        for name in user.taste.axes:
            if name in group_axes(group):
                weights = np.multiply.outer(weights, AXIS[name].prior)
        gains[group], variances[group] = table.max(), (weights * table**2).sum()
    return gains["silent"] / sum(gains.values()), variances["silent"] / sum(variances.values())
