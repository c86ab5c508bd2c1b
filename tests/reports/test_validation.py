"""The pieces of the validation: graded systems, nuisances, rank correlations, outcomes, rates, sizes, inflation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from prefbench.api import Case, FeatureSet, MetricCard, PrefbenchError, Resampling, Scores, SetMetric, to_pixels
from prefbench.metrics.fid import FrechetDistance
from prefbench.metrics.kid import KernelInceptionDistance
from prefbench.reports.validation import sample_size
from prefbench.reports.validation.claims import judge
from prefbench.reports.validation.correlation import required
from prefbench.reports.validation.coverage import _set_coverage
from prefbench.reports.validation.drawing import _Renderer, derange_prompts
from prefbench.reports.validation.expectations import EXPECTATIONS
from prefbench.reports.validation.false_positives import _splits, rests_on
from prefbench.reports.validation.leakage import inflation
from prefbench.reports.validation.nuisances import NUISANCES
from prefbench.reports.validation.populations import as_scores
from prefbench.reports.validation.rates import rate, within
from prefbench.reports.validation.requirements import false_positive_row
from prefbench.reports.validation.schema import MethodCorrelations
from prefbench.reports.validation.set_estimates import difference
from prefbench.reports.validation.settings import STRENGTHS, ValidationSize
from prefbench.reports.validation.systems import System, Systems
from prefbench.run.plan import Planned
from prefbench.score.sets import SET_KEY, jackknife
from prefbench.stats import ranks
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.population import population
from prefbench.suites.picturebook.users.worlds import SECOND
from prefbench.suites.picturebook.world.axes import BY_PROMPT, STYLE_NAMES, sample_styles
from prefbench.suites.picturebook.world.render import render

PROMPT = "a house at sea"


@pytest.fixture(scope="module")
def suite() -> Picturebook:
    return Picturebook()


# ------------------------------------------------------------------------------------------------ strengths


def expected_style(user: Any, seed: int, strength: float) -> list[int]:
    """By hand: the prior's style, then the best value on every axis that counts and was drawn below the strength."""
    rng = np.random.default_rng(seed)
    style = sample_styles(rng, 1)[0].tolist()
    for name, chance in zip(STYLE_NAMES, rng.random(len(STYLE_NAMES)).tolist(), strict=True):
        best = user.taste_on(BY_PROMPT[PROMPT]).best()
        if name in best and chance < strength:
            style[STYLE_NAMES.index(name)] = best[name]
    return style


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_graded_pictures_are_the_ones_drawn_by_hand(suite: Picturebook, strength: float) -> None:
    for user in population("test", SECOND)[:5]:
        for seed in (3, 2**62):
            drawn = suite.truth.graded(user.id, PROMPT, seed, strength=strength)
            scene = BY_PROMPT[PROMPT].scene(expected_style(user, seed, strength))
            assert np.array_equal(to_pixels(drawn), render(scene, seed))


def test_at_full_strength_stands_the_ideal_and_at_none_the_prior(suite: Picturebook) -> None:
    truth = suite.truth
    for user in suite.users("test")[:10]:
        ideal = to_pixels(truth.ideal(user.id, PROMPT, 7))
        assert np.array_equal(to_pixels(truth.graded(user.id, PROMPT, 7, strength=1)), ideal)
        prior = render(BY_PROMPT[PROMPT].scene(sample_styles(np.random.default_rng(7), 1)[0].tolist()), 7)
        assert np.array_equal(to_pixels(truth.graded(user.id, PROMPT, 7, strength=0)), prior)


def test_expected_utility_rises_with_strength() -> None:
    """By the styles themselves, so that no instrument is in between."""
    means = []
    for strength in STRENGTHS:
        worth = [
            user.taste_on(BY_PROMPT[PROMPT]).of_styles(np.array([expected_style(user, seed, strength)]))[0]
            for user in population("test", SECOND)[:40]
            for seed in range(10)
        ]
        means.append(np.mean(worth))
    assert means[0] == pytest.approx(0, abs=0.08)
    assert means[-1] == pytest.approx(1)
    assert (np.diff(means) > 0.15).all()


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_other_strengths_are_refused(suite: Picturebook, strength: float) -> None:
    with pytest.raises(PrefbenchError, match=r"strength must lie in \[0, 1\]"):
        suite.truth.graded("test-0000", PROMPT, 0, strength=strength)


# ------------------------------------------------------------------------------------------------ nuisances


@pytest.mark.parametrize("name", ["blur", "jpeg", "noise", "hue"])
def test_levels_of_a_nuisance_spoil_more_and_more(suite: Picturebook, name: str) -> None:
    nuisance = NUISANCES[name]
    assert nuisance.apply is not None
    pictures = [suite.truth.ideal(f"test-{i:04d}", PROMPT, i) for i in range(12)]
    for image in pictures[:2]:
        once, again = (nuisance.apply(image, nuisance.levels[1], 5) for _ in range(2))
        assert once.size == image.size
        assert np.array_equal(to_pixels(once), to_pixels(again))
    errors = [
        np.mean([np.abs(to_pixels(nuisance.apply(p, level, 5)) - to_pixels(p).astype(float)).mean() for p in pictures])
        for level in nuisance.levels
    ]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_turned_hues_keep_greys_and_turn_the_rest() -> None:
    turn = NUISANCES["hue"].apply
    assert turn is not None
    assert np.array(turn(Image.new("RGB", (2, 2), (90, 90, 90)), 180, 0)).tolist() == [[[90, 90, 90]] * 2] * 2
    turned = np.array(turn(Image.new("RGB", (1, 1), (200, 0, 0)), 180, 0))[0, 0]
    assert turned.tolist() == pytest.approx([0, 200, 200], abs=4)  # hues have 256 steps


def permuted_difference(suite: Picturebook, name: str, share: float) -> list[bool]:
    """Of 300 samples those that the nuisance replaces."""
    case, *_, last = suite.cases("test-0001")
    base, renderer = (
        _Renderer(s, suite, suite.truth, {case.id: last.prompt}) for s in (System(0.5), System(0.5, name, share))
    )
    found = []
    for seed in range(300):
        planned = Planned("", case, 0, seed)
        found.append(not np.array_equal(to_pixels(renderer.draw(planned)), to_pixels(base.draw(planned))))
    return found


def test_dropped_prompts_are_those_of_other_cases_and_as_frequent(suite: Picturebook) -> None:
    cases = [case for user in suite.users("test") for case in suite.cases(user.id)]
    others = derange_prompts(cases)
    assert all(others[case.id] != case.prompt for case in cases)
    assert sorted(others.values()) == sorted(case.prompt for case in cases)
    with pytest.raises(PrefbenchError, match="more than half"):
        derange_prompts([Case(f"{i}", "u", "same" if i < 3 else "other") for i in range(5)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["palette", "prompt dropped", "copies"])
def test_shares_are_kept_and_hold_the_smaller_ones(suite: Picturebook, name: str) -> None:
    quarter, half, whole = (permuted_difference(suite, name, share) for share in (0.25, 0.5, 1.0))
    assert sum(quarter) == pytest.approx(75, abs=25)
    assert sum(half) == pytest.approx(150, abs=30)
    assert all(whole)
    assert not any(a and not b for a, b in zip(quarter, half, strict=True))


def test_copies_are_likes_that_methods_were_shown(suite: Picturebook) -> None:
    renderer = _Renderer(System(0.5, "copies", 1.0), suite, suite.truth, {})
    likes = [to_pixels(j.picture.load()).tobytes() for j in suite.history("test-0001").liked]
    drawn = [
        to_pixels(renderer.draw(Planned("", Case("", "test-0001", PROMPT), 0, seed))).tobytes() for seed in range(40)
    ]
    assert set(drawn) <= set(likes)
    assert len(set(drawn)) == 8


@pytest.mark.slow
def test_recoloured_pictures_differ_in_palette_and_temperature_alone(suite: Picturebook) -> None:
    colours = [STYLE_NAMES.index(name) for name in ("palette", "temperature")]
    user = population("test", SECOND)[2]
    values = set()
    for seed in range(60):
        style = expected_style(user, seed, 0.5)
        drawn = to_pixels(suite.truth.graded(user.id, PROMPT, seed, strength=0.5, recoloured=True))
        others = [
            [*style[: colours[0]], palette, *style[colours[0] + 1 : colours[1]], tone, *style[colours[1] + 1 :]]
            for palette in range(6)
            for tone in range(3)
            if palette != style[colours[0]] and tone != style[colours[1]]
        ]
        found = [o for o in others if np.array_equal(drawn, render(BY_PROMPT[PROMPT].scene(o), seed))]
        assert len(found) == 1
        values.add((found[0][colours[0]], found[0][colours[1]]))
    assert len(values) > 12


def test_systems_have_names_of_their_own() -> None:
    systems = Systems.of(ValidationSize(users=4, samples=3, pool_users=5, pool_prompts=6)).all
    assert len({system.name for system in systems}) == len(systems) == 29
    assert systems[0].name == "strength 0.5"


# ------------------------------------------------------------------------------------------------- statistics


def test_rank_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.integers(0, 5, (2, 12)).astype(float)
        assert ranks.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        assert ranks.tau(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
    assert np.isnan(ranks.spearman(np.ones(4), np.arange(4.0)))


def holds_zero(estimate: ranks.Correlation) -> bool:
    low, high = estimate["low"], estimate["high"]
    return low is not None and high is not None and low < 0 < high


def test_correlation_within_users_is_the_mean_of_theirs_and_chance_holds_zero() -> None:
    rng = np.random.default_rng(1)
    truth = {f"u{i}": rng.standard_normal(25) for i in range(40)}
    same = ranks.within_users({u: v + 5 * i for i, (u, v) in enumerate(truth.items())}, truth, replicates=200, seed=0)
    assert (same["value"], same["low"], same["high"], same["n"]) == (1, 1, 1, 40)
    other = {user: rng.standard_normal(25) for user in truth}
    chance = ranks.within_users(other, truth, replicates=400, seed=0)
    assert holds_zero(chance)
    expected = np.mean([stats.spearmanr(other[u], truth[u]).statistic for u in truth])
    assert chance["value"] == pytest.approx(expected)


def test_tau_over_methods_of_chance_holds_zero_and_of_the_truth_is_one() -> None:
    rng = np.random.default_rng(2)
    truth = np.linspace(0, 1, 8)[:, None] + 0.1 * rng.standard_normal((8, 30))
    truth[0, 3] = np.nan
    same = ranks.over_methods(2 * truth, truth, replicates=100, seed=0)
    assert [same["value"], same["low"]] == pytest.approx([1, 1])
    assert (same["n"], same["n_users"]) == (8, 29)
    chance = ranks.over_methods(rng.standard_normal((8, 30)), truth, replicates=400, seed=0)
    assert holds_zero(chance)


def test_rates_have_wilsons_interval() -> None:
    found = rate(7, 120)
    assert (found["low"], found["high"]) == pytest.approx(proportion_confint(7, 120, method="wilson"))
    assert rate(0, 0)["rate"] is None


def test_identical_methods_are_two_different_samples_of_every_case_of_half_the_users() -> None:
    users = np.repeat([f"u{i}" for i in range(10)], 2 * 4)
    nulls = list(_splits(users, ValidationSize(samples=4, sample_users=5), 50))
    assert len(nulls) == 50
    for null in nulls:
        assert len(set(users[null.first])) == 5
        assert (null.first // 4 == null.second // 4).all()
        assert (null.first != null.second).all()
    places = np.concatenate([null.first % 4 for null in nulls])
    assert np.bincount(places, minlength=4) == pytest.approx([len(places) / 4] * 4, rel=0.2)


def test_differences_rest_on_as_many_users_as_share_them() -> None:
    assert rests_on(np.zeros(9)) == 0
    assert rests_on(np.repeat([2.0, 0.0], [5, 20])) == pytest.approx(5)
    assert 1 < rests_on(np.array([10.0, 1.0, 1.0, 1.0])) < 1.1
    assert rests_on(np.random.default_rng(0).standard_normal(30_000)) == pytest.approx(10_000, rel=0.05)


def rated(share: float, rests_on: float = 20.0) -> dict[str, float]:
    return {"rate": share, "low": 0.0, "high": 1.0, "rests_on": rests_on}


def test_rates_are_held_against_their_band_as_they_are() -> None:
    assert within(rated(0.05), 0.03, 0.07) is True
    assert within(rated(0.029), 0.03, 0.07) is False
    assert within(rate(0, 0), 0.03, 0.07) is None


def test_false_positives_must_be_few_everywhere_and_enough_where_differences_rest_on_many() -> None:
    few, mixed = rated(0.0, rests_on=2.0), rated(0.05)
    assert false_positive_row("x", few, mixed)["passed"] is True
    assert "half of the pictures copies" in false_positive_row("x", few, mixed)["what"]
    assert false_positive_row("x", rated(0.09, rests_on=2.0), mixed)["passed"] is False
    assert false_positive_row("x", few, rated(0.01))["passed"] is False
    assert false_positive_row("x", rated(0.0), mixed)["passed"] is False


@pytest.mark.slow
def test_set_intervals_must_hold_more_than_draws_from_a_small_pool_differ_by() -> None:
    """The mean of 30 of 60 users and 10 of 20 prompts; with intervals 0.6 times as wide it must show."""

    class Mean(SetMetric):
        card = MetricCard("mean", "1", "", "fidelity", "up", "set", "")

        def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:  # noqa: ARG002
            return float(drawn.features.mean())

    class Narrowed(Resampling):
        def leave_one_out(self, drawn: FeatureSet, *others: Any) -> list[float]:
            values = np.array(super().leave_one_out(drawn, *others))
            return list(0.6 * (values - values.mean()) + values.mean())

    class Narrow(Mean):
        @property
        def resampling(self) -> Resampling:
            return Narrowed(self)

    rng = np.random.default_rng(5)
    effects = rng.standard_normal((60, 1)) + rng.standard_normal((1, 20)) + rng.standard_normal((60, 20))
    users, prompts = (np.char.add(letter, np.arange(n).astype(str)) for letter, n in (("u", 60), ("p", 20)))
    drawn = FeatureSet(effects.reshape(-1, 1), np.repeat(users, 20), np.tile(prompts, 60))
    size = ValidationSize(sample_users=30, sample_prompts=10, set_intervals=300)
    systems = SimpleNamespace(population=None)
    bench = SimpleNamespace(size=size, systems=systems, drawn=lambda *_: drawn, references=lambda *_: drawn)
    assert _set_coverage(bench, Mean())["rate"] >= 0.93
    assert _set_coverage(bench, Narrow())["rate"] < 0.87


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "most"), [(FrechetDistance(), 0.99), (KernelInceptionDistance(), 1.0)])
def test_intervals_of_paired_set_differences_hold_zero_of_identical_methods(metric: SetMetric, most: float) -> None:
    """Pictures of both have their user's and their prompt's ways; the prompts are kept.

    With four prompts the interval of kid is too wide: it drops pairs of one prompt, and leaving users out overstates
    what that adds.
    """
    rng, runs, held = np.random.default_rng(7), 150, 0
    users, prompts = np.repeat(np.arange(30), 4).astype(str), np.tile(np.arange(4), 30).astype(str)
    by_prompt = rng.standard_normal((4, 4))
    for _ in range(runs):
        common = 0.5 * np.repeat(rng.standard_normal((30, 4)), 4, axis=0) + np.tile(by_prompt, (30, 1))
        sets = [FeatureSet(common + rng.standard_normal((120, 4)), users, prompts) for _ in range(3)]
        reference = FeatureSet(sets[2].features + 0.3, users, prompts)
        values = [{SET_KEY: metric.compare(s, reference), **jackknife(metric, s, reference)} for s in sets[:2]]
        found = difference(*values)
        held += found["low"] <= 0 <= found["high"]
    assert 0.91 <= held / runs <= most


def test_a_user_drawn_twice_counts_as_two() -> None:
    scores = as_scores(np.arange(6.0).reshape(3, 2))
    assert scores.users.tolist() == ["0", "0", "1", "1", "2", "2"]
    assert scores.prompts.tolist() == ["0", "1"] * 3


# --------------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("claim", "effect", "found"),
    [
        ("fall", (-1.0, -1.5, -0.5), "holds"),
        ("fall", (0.0, -0.1, 0.1), "fails"),
        ("fall", (1.0, 0.5, 1.5), "fails"),
        ("fall", (-1.0, -3.0, 1.0), "open"),
        ("rise", (1.0, 0.5, 1.5), "holds"),
        ("rise", (-1.0, -1.5, -0.5), "fails"),
        ("rise", (0.0, -1.0, 1.0), "open"),
        ("stay", (0.1, -0.1, 0.2), "holds"),
        ("stay", (0.3, 0.1, 0.5), "fails"),
        ("stay", (0.1, -0.3, 0.5), "open"),
        ("none", (9.0, 8.0, 10.0), "no claim"),
        ("fall", (-1.0, None, None), "open"),
    ],
)
def test_outcomes(claim: Any, effect: tuple[float, float | None, float | None], found: str) -> None:
    assert judge(claim, dict(zip(("value", "low", "high"), effect, strict=True)), 0.2) == found


def test_what_must_stay_may_move_less_than_half_of_what_must_be_seen() -> None:
    effect = {"value": 0.05, "low": 0.01, "high": 0.09}
    assert [judge("stay", effect, 0.2, weakest=weakest) for weakest in (None, 0.2, 0.15, 0.08)] == [
        "holds", "holds", "open", "fails"
    ]  # fmt: skip


def test_every_metric_has_a_word_on_every_nuisance() -> None:
    for row in EXPECTATIONS.values():
        assert list(row) == list(NUISANCES)
        assert all(expectation.reason for expectation in row.values())


def ranked(tau: float = 0.9, rival: float | None = 0.6, **preference: float) -> list[bool | None]:
    liked = {"preference": {"value": tau}} | ({} if rival is None else {"clip-i": {"value": rival}})
    found = {"tau": {}, "tau_liked": liked, "methods": {k: {"preference": v} for k, v in preference.items()}}
    return [row["passed"] for row in required(cast(MethodCorrelations, found))]


def test_what_is_required_of_the_learned_metric() -> None:
    assert ranked(copy=0.1, truth=0.2, ours=0.1) == [True, True, True, True]
    assert ranked(copy=0.3, truth=0.2, ours=0.4) == [True, True, False, True]
    assert ranked(copy=0.3, ours=0.4) == [True, True, None, True]
    assert ranked(0.84, 0.9, copy=0.1, truth=0.2, ours=0.1)[:2] == [False, False]
    assert ranked(rival=None, copy=0.1, truth=0.2, ours=0.1)[1] is None


# ------------------------------------------------------------------------------------------- sizes, inflation


def test_enough_is_the_size_from_which_on_a_figure_stays_small() -> None:
    points = [{"n": n, "bias": bias} for n, bias in ((50, 0.1), (100, -2.0), (200, -0.5), (500, 0.2))]
    assert [sample_size._enough(points, "bias", bound) for bound in (3, 1, 0.3, 0.1)] == [50, 200, 500, None]
    assert sample_size._enough(points, "bias", None) is None


def gains(scores: Scores, truth: Scores, likeness: NDArray[np.float64]) -> Any:
    size = ValidationSize(samples=8, replicates=200)
    return inflation(scores, truth, likeness, size, judgments="scorer", picked_by="likeness")


def test_what_utility_justifies_is_no_inflation_and_what_it_does_not_is() -> None:
    rng = np.random.default_rng(3)
    users, prompts = np.repeat([f"u{i}" for i in range(20)], 24), np.tile(np.repeat(["a", "b", "c"], 8), 20)
    truth = Scores(rng.standard_normal(480), users, prompts)
    likeness = rng.standard_normal(480)
    honest = Scores(2 * truth.values + np.repeat(rng.standard_normal(20), 24), users, prompts)
    for picked_by in (likeness, truth.values):
        found = gains(honest, truth, picked_by)
        assert found["slope"] == pytest.approx(2)
        assert found["inflation"]["value"] == pytest.approx(0, abs=1e-9)
    bought = Scores(honest.values + likeness, users, prompts)
    found = gains(bought, truth, likeness)
    best = likeness.reshape(-1, 8)
    assert found["inflation"]["low"] > 0.8
    assert found["inflation"]["value"] == pytest.approx((best.max(axis=1) - best.mean(axis=1)).mean(), abs=0.2)
