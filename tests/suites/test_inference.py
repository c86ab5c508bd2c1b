"""What a history reveals: rows of tastes against single tastes, and posteriors against users whose taste is known."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.chains import search
from prefbench.suites.picturebook.users.choices import judge_four
from prefbench.suites.picturebook.users.inference import infer
from prefbench.suites.picturebook.users.likelihood import HistoryStyles, Side, judged_styles
from prefbench.suites.picturebook.users.population import Judged, SimulatedUser, population
from prefbench.suites.picturebook.users.posterior import Draws
from prefbench.suites.picturebook.users.prior import sample_profiles, sample_rows
from prefbench.suites.picturebook.users.sampling import sample_leaning
from prefbench.suites.picturebook.users.taste import Leaning, Taste, TasteSpec
from prefbench.suites.picturebook.users.taste_rows import one_hot, row_kinds
from prefbench.suites.picturebook.users.worlds import FIRST, SECOND, UserKind
from prefbench.suites.picturebook.world.axes import CONTENTS, STYLE, STYLE_NAMES, IntArray, sample_styles

ROW_KINDS = row_kinds(FIRST)
STRONG = TasteSpec(
    "consistent",
    (
        Leaning("palette", (-0.6, 0, 0.42, 0, 0, 0)),
        Leaning("companion", (0, 0, 0, 0.23, -0.14)),
        Leaning("temperature", (-0.21, 0.07, 0.35)),
    ),
)
"""Forest colours, a star, warm light."""


def quick(history: HistoryStyles, seed: int = 0) -> Draws:
    return search(history, seed=seed, chains=12, steps=150, keep=6)


def judged(taste: Taste, n: int, *, sharpness: float = 12.0) -> HistoryStyles:
    """A history of n judgments per side, made as the world makes them."""
    rng = np.random.default_rng(0)
    sides: tuple[list[IntArray], list[IntArray]] = ([], [])
    for _ in range(n):
        four = sample_styles(rng, 4, uniform=STYLE_NAMES)
        for side, row in zip(sides, judge_four(taste.of_styles(four), sharpness, rng), strict=True):
            side.append(four[row])
    return HistoryStyles.of(np.array(sides[0]), np.array(sides[1]))


def none() -> IntArray:
    return np.zeros((0, len(STYLE)), dtype=np.int64)


def named(style: tuple[int, ...]) -> dict[str, str]:
    return {axis.name: axis.values[i] for axis, i in zip(STYLE, style, strict=True)}


def score(style: tuple[int, ...], taste: Taste) -> float:
    return float(taste.of_styles(np.array([style]))[0])


# ------------------------------------------------------------------------------------------- rows of tastes


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_rows_have_the_utilities_of_the_single_tastes(kind: UserKind) -> None:
    """Up to a constant a row. The scale of two tastes rests on a sample of the prior, so it may be off by a little."""
    rows = sample_rows(np.random.default_rng(3), 200)
    styles = sample_styles(np.random.default_rng(4), 60, uniform=STYLE_NAMES)
    found = rows.utilities(one_hot(styles))[:, 0]
    chosen = np.flatnonzero(rows.kind == ROW_KINDS.index(kind))
    assert len(chosen) > 10
    for row in chosen:
        spec = rows.spec(int(row))
        expected = Taste.of(spec).of_styles(styles)
        scale = np.ptp(found[row]) / np.ptp(expected)
        assert spec.kind == kind
        assert scale == pytest.approx(1, abs=0.05 if kind == "two tastes" else 1e-9)
        np.testing.assert_allclose(found[row] - found[row, 0], scale * (expected - expected[0]), atol=1e-9)


@pytest.mark.parametrize("kind", row_kinds(SECOND))
@pytest.mark.parametrize("crowd", [SECOND.crowd, 0.5])
def test_rows_with_a_common_part_have_the_utilities_of_the_single_tastes(kind: UserKind, crowd: float) -> None:
    """Of two tastes the mean over the prior rests on a sample, so all may be off by a little."""
    world = replace(SECOND, crowd=crowd)
    rows = sample_rows(np.random.default_rng(3), 200, world)
    styles = sample_styles(np.random.default_rng(4), 60, uniform=STYLE_NAMES)
    utilities = rows.utilities(one_hot(styles))
    chosen = np.flatnonzero(rows.is_kind(kind))
    assert len(chosen) > 10
    for row in chosen:
        spec, share = rows.spec(int(row)), world.share(kind)
        near = 0.05 if kind == "two tastes" else 1e-9
        np.testing.assert_allclose(utilities[row, 0], Taste.of(spec, crowd=share).of_styles(styles), atol=near)
        if kind in ("subject-bound", "drifting"):
            np.testing.assert_allclose(utilities[row, 1], Taste.other(spec, crowd=share).of_styles(styles), atol=1e-9)


def test_the_second_taste_counts_for_its_subjects_and_for_what_is_past() -> None:
    rows = sample_rows(np.random.default_rng(3), 300, SECOND)
    contents, present = CONTENTS[:6], np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    share = rows.share_of_first(contents, present)
    for row in range(len(rows)):
        subjects = rows.spec(row).subjects
        if rows.is_kind("drifting")[row]:
            assert share[row].tolist() == present.tolist()
        elif subjects is not None:
            assert share[row].tolist() == [0.0 if content in subjects else 1.0 for content in contents]
        else:
            assert share[row].tolist() == [1.0] * 6


def test_sampled_rows_follow_the_prior() -> None:
    rows = sample_rows(np.random.default_rng(5), 3000)
    shares = np.array([dict(FIRST.kinds)[kind] for kind in ROW_KINDS])
    np.testing.assert_allclose(np.bincount(rows.kind) / len(rows), shares / shares.sum(), atol=0.03)
    assert (rows.leanings[:, 0] != rows.leanings[:, 1]).any(axis=1).all()


def test_profiles_are_leanings_of_weight_one() -> None:
    profiles = sample_profiles(np.random.default_rng(6), 40)
    palette = {tuple(row[:6].round(3)) for row in profiles[STYLE_NAMES.index("palette")]}
    rng = np.random.default_rng(7)
    assert palette <= {tuple(np.round(sample_leaning(rng, "palette", 1.0).scores, 3)) for _ in range(1000)}
    assert len(palette) > 15
    assert (profiles[STYLE_NAMES.index("palette"), :, 6:] == 0).all()


# ------------------------------------------------------------------------------------------------ posterior


@pytest.mark.slow
def test_a_strongly_expressed_taste_is_recovered() -> None:
    taste = Taste.of(STRONG)
    posterior = quick(judged(taste, 24))
    style = named(posterior.best_style())
    assert (style["palette"], style["companion"], style["temperature"]) == ("forest", "star", "warm")
    assert score(posterior.best_style(), taste) == pytest.approx(1)
    best = posterior.map.best()
    assert (best["palette"], best["companion"], best["temperature"]) == (2, 3, 2)


def test_draws_are_concentrated_on_what_the_history_shows() -> None:
    """Utilities of the draws agree with the truth far better than those of the prior do."""
    taste, styles = Taste.of(STRONG), sample_styles(np.random.default_rng(8), 500, uniform=STYLE_NAMES)
    truth = taste.of_styles(styles)

    def agreement(seen: HistoryStyles) -> float:
        return float(np.mean([np.corrcoef(draw.of_styles(styles), truth)[0, 1] for draw in quick(seen).draws]))

    assert agreement(judged(taste, 24)) > 0.6
    assert abs(agreement(HistoryStyles.of(none(), none()))) < 0.15


def test_mean_utility_is_the_mean_over_the_draws() -> None:
    posterior = quick(judged(Taste.of(STRONG), 4))
    styles = sample_styles(np.random.default_rng(9), 50)
    expected = np.mean([draw.of_styles(styles) for draw in posterior.draws], axis=0)
    mean = posterior.mean_utility()
    np.testing.assert_allclose(mean[tuple(styles.T)], expected, atol=1e-12)
    assert mean[posterior.best_style()] == mean.max()


def test_the_same_history_and_seed_give_the_same_posterior() -> None:
    seen = judged(Taste.of(STRONG), 6)
    first, again, other = quick(seen), quick(seen), quick(seen, seed=1)
    np.testing.assert_array_equal(first.mean_utility(), again.mean_utility())
    assert (first.mean_utility() != other.mean_utility()).any()


def test_flipped_histories_flip_the_sign() -> None:
    seen = judged(Taste.of(STRONG), 12)
    flipped = HistoryStyles(seen.disliked, seen.liked)
    mean, turned = quick(seen).mean_utility(), quick(flipped).mean_utility()
    assert np.corrcoef(mean.ravel(), turned.ravel())[0, 1] < -0.3
    assert score(quick(flipped).best_style(), Taste.of(STRONG)) < 0


def test_one_side_of_a_history_is_enough() -> None:
    taste = Taste.of(STRONG)
    seen = judged(taste, 24)
    for part in (
        replace(seen, disliked=Side(none())),
        replace(seen, liked=Side(none())),
        replace(seen, disliked=Side(seen.disliked.styles[:3])),
    ):
        assert score(quick(part).best_style(), taste) > 0.3


def test_an_empty_history_leaves_the_prior() -> None:
    mean = quick(HistoryStyles.of(none(), none())).mean_utility()
    informed = quick(judged(Taste.of(STRONG), 24)).mean_utility()
    assert np.isfinite(mean).all()
    assert mean.max() < 0.5 < informed.max()


def test_the_best_style_is_the_best_with_what_is_asked() -> None:
    posterior = quick(judged(Taste.of(STRONG), 12))
    mean = posterior.mean_utility()
    asked = posterior.best_style(asked={"palette": 5})
    assert asked[0] == 5
    assert mean[asked] == mean[5].max() < mean[posterior.best_style()]


# -------------------------------------------------------------------------------------------- other worlds


def seen_in(user: SimulatedUser, n: int) -> HistoryStyles:
    part = user.judged("method")
    part = part.latest(n) if user.kind == "drifting" else part.earliest(n)
    return judged_styles(part.liked, part.disliked, SECOND)


def test_a_history_tells_an_inference_what_it_shows() -> None:
    users = population("val", SECOND)
    rated = next(user for user in users if user.form == "ratings")
    seen = seen_in(rated, 8)
    assert seen.liked.ratings is not None
    assert set(seen.liked.ratings.tolist()) <= {4, 5}
    part = rated.judged("method").earliest(8)
    flipped = judged_styles(part.disliked, part.liked, SECOND)
    assert flipped.liked.ratings is not None
    assert set(flipped.liked.ratings.tolist()) <= {4, 5}
    assert len(seen_in(next(user for user in users if user.form == "likes"), 8).disliked) == 0
    spoilt = next(
        seen_in(u, 8).disliked.severity for u in users if any(e.defects for e in u.judged("method").disliked[:8])
    )
    assert spoilt is not None
    assert spoilt.max() > 0


def test_the_first_world_keeps_its_posterior_to_the_last_bit() -> None:
    """Published numbers rest on it."""
    seen = seen_of(population("test")[0], 8)
    posterior = infer(seen)
    assert zlib.crc32(posterior.mean_utility().tobytes()) == 1287647389
    assert posterior.best_style() == (1, 2, 2, 2, 0, 1, 0, 2, 1)


# ---------------------------------------------------------------------------------------------------- users


@cache
def found(n: int) -> FloatArray:
    """True utilities of the best styles for 16 users, given n judgments per side."""
    users = population("val")[:16]
    return np.array([score(quick(seen_of(user, n)).best_style(), user.taste) for user in users])


def seen_of(user: SimulatedUser, n: int) -> HistoryStyles:
    part: Judged = user.judged("method")
    liked, disliked = (
        np.array([shown.scene.style for shown in side[:n]], dtype=np.int64).reshape(-1, len(STYLE))
        for side in (part.liked, part.disliked)
    )
    return HistoryStyles.of(liked, disliked)


@pytest.mark.slow
def test_longer_histories_reveal_more() -> None:
    means = [found(n).mean() for n in (0, 2, 8, 16)]
    assert means == sorted(means)
    assert abs(means[0]) < 0.2
    assert means[2] > 0.55
    assert means[3] > means[1] + 0.15
