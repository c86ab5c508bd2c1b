"""The posterior of worlds other than the first: its parts against sums that are made another way, and the whole."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.choices import log_likelihood
from prefbench.suites.picturebook.users.inference import infer
from prefbench.suites.picturebook.users.likelihood import HistoryStyles, Likelihood, judged_styles
from prefbench.suites.picturebook.users.moves import redrawn
from prefbench.suites.picturebook.users.particles import Particles
from prefbench.suites.picturebook.users.population import PRESENT, JudgedScene, SimulatedUser, population
from prefbench.suites.picturebook.users.prior import Prior, sample_rows
from prefbench.suites.picturebook.users.quality import sample_defects, severity, severity_at
from prefbench.suites.picturebook.users.sampling import SUBJECTS
from prefbench.suites.picturebook.users.taste import Taste
from prefbench.suites.picturebook.users.taste_rows import TasteRows, one_hot, row_kinds
from prefbench.suites.picturebook.users.tempering import tempered
from prefbench.suites.picturebook.users.worlds import SECOND, UserKind
from prefbench.suites.picturebook.world.axes import CONTENTS, STYLE_NAMES, Content, IntArray, sample_styles

USERS = population("val", SECOND)
STYLES = sample_styles(np.random.default_rng(9), 200, uniform=STYLE_NAMES)
ROWS = sample_rows(np.random.default_rng(3), 120, SECOND)


def shown(user: SimulatedUser, n: int) -> tuple[tuple[JudgedScene, ...], tuple[JudgedScene, ...]]:
    part = user.judged("method")
    part = part.latest(n) if user.kind == "drifting" else part.earliest(n)
    return part.liked, part.disliked


def seen(user: SimulatedUser, n: int) -> HistoryStyles:
    return judged_styles(*shown(user, n), SECOND)


def judging(form: str) -> SimulatedUser:
    return next(user for user in USERS if (user.form, user.kind) == (form, "consistent"))


def tastes_on(rows: TasteRows, row: int, content: Content, present: float) -> list[tuple[float, Taste]]:
    """What counts of a row for a judgment, as single tastes with their shares."""
    spec = rows.spec(row)
    share = SECOND.share(spec.kind)
    first = Taste.of(spec, crowd=share)
    if spec.kind == "drifting":
        return [(present, first), (1 - present, Taste.other(spec, crowd=share))]
    bound = spec.subjects is not None and content in spec.subjects
    return [(1.0, Taste.other(spec, crowd=share) if bound else first)]


# ---------------------------------------------------------------------------------------------- likelihood


@cache
def others() -> tuple[IntArray, FloatArray]:
    """A large sample of what users are shown: styles, and severities of their defects."""
    rng = np.random.default_rng(5)
    return sample_styles(rng, 6000, uniform=STYLE_NAMES), severity(sample_defects(rng, 6000, SECOND.defects))


@pytest.mark.parametrize("form", ["pairs", "likes"])
@pytest.mark.parametrize("kind", row_kinds(SECOND))
def test_the_likelihood_is_that_of_the_single_tastes_beside_many_pictures(kind: UserKind, form: str) -> None:
    """One taste at a time and judgment by judgment, over a sample of pairs instead of an even spread of pictures."""
    liked, disliked = shown(judging(form), 8)
    rows = ROWS.rows(np.flatnonzero(ROWS.is_kind(kind))[:6])
    expected, (styles, severities) = np.zeros(len(rows)), others()
    for row in range(len(rows)):
        sharpness, care = SECOND.sharpness(kind), float(rows.care[row])

        def utilities(styles: IntArray, cost: FloatArray, place: int, row: int = row, care: float = care) -> FloatArray:
            content = liked[place].scene.content
            shares = tastes_on(rows, row, content, float(PRESENT[8 + place]))
            return np.asarray(sum(share * taste.of_styles(styles) for share, taste in shares) - care * cost)

        def of(scene: JudgedScene, place: int) -> FloatArray:
            cost = severity(np.array([scene.defects or (0, 0, 0, 0)]))
            return utilities(np.array([scene.scene.style]), cost, place)

        for place in range(8):
            unseen = utilities(styles, severities, place).reshape(1, 2, -1)
            second = of(disliked[place], place) if disliked else np.array([])
            expected[row] += log_likelihood(of(liked[place], place), second, unseen, sharpness)
    np.testing.assert_allclose(Likelihood(seen(judging(form), 8), SECOND)(rows), expected, atol=0.8)
    assert np.std(Likelihood(seen(judging(form), 8), SECOND)(rows) - expected) < 0.4 < np.std(expected)


def test_severities_have_the_shares_of_the_world() -> None:
    even = severity_at((np.arange(10_000) + 0.5) / 10_000, 0.2)
    drawn = severity(sample_defects(np.random.default_rng(0), 40_000, 0.2))
    for level in (0.0, 0.4, 1.0):
        assert (even == level).mean() == pytest.approx((drawn == level).mean(), abs=0.006)


def test_ratings_and_an_empty_side_have_a_likelihood() -> None:
    for user in (judging("ratings"), next(user for user in USERS if user.kind == "sparse")):
        scores = Likelihood(seen(user, 8), SECOND)(ROWS)
        assert np.isfinite(scores).all()
        assert np.ptp(scores) > 1
    nothing = HistoryStyles.of(*[np.zeros((0, len(STYLE_NAMES)), dtype=np.int64)] * 2)
    assert Likelihood(nothing, SECOND)(ROWS).tolist() == [0.0] * len(ROWS)


# ------------------------------------------------------------------------------------------- prior and moves


def summary(rows: TasteRows) -> FloatArray:
    """Shares of kinds, counts and weights of leanings, and the rest of what a taste consists of, as means."""
    tops = rows.leanings.max(axis=1)
    return np.array([
        *(np.bincount(rows.kind, minlength=len(row_kinds(SECOND))) / len(rows)),
        *(rows.leanings > 0).mean(axis=(0, 1)), *(rows.leanings**2).mean(axis=(0, 1)), *(tops**3).mean(axis=0),
        *np.bincount(rows.bonus.ravel(), minlength=rows.leanings.shape[2]) / len(rows),
        rows.weight.mean(), rows.care.mean(), rows.care.std(), rows.subjects.mean() / len(SUBJECTS),
    ])  # fmt: skip


def test_the_prior_is_that_of_single_tastes() -> None:
    drawn = Prior(SECOND, np.random.default_rng(1)).tastes(4000)
    np.testing.assert_allclose(summary(drawn), summary(sample_rows(np.random.default_rng(2), 2000, SECOND)), atol=0.04)


def test_moves_leave_the_prior_as_it_is() -> None:
    """All are accepted here; some 40 moves leave hardly a component that is not drawn again."""
    prior = Prior(SECOND, np.random.default_rng(1))
    start = rows = prior.tastes(4000)
    for _ in range(40):
        rows = redrawn(rows, prior)
    np.testing.assert_allclose(summary(rows), summary(start), atol=0.035)
    assert (rows.leanings[:, 0] == start.leanings[:, 0]).all(axis=1).mean() < 0.02
    assert (rows.kind == start.kind).mean() < 0.35


def test_a_move_draws_one_component_again() -> None:
    prior = Prior(SECOND, np.random.default_rng(1))
    start = prior.tastes(2000)
    moved = redrawn(start, prior)
    second_counts = start.second_counts & moved.second_counts
    changed = np.stack([
        moved.kind != start.kind,
        moved.care != start.care,
        (moved.leanings[:, 0] != start.leanings[:, 0]).any(axis=1),
        (moved.leanings[:, 1] != start.leanings[:, 1]).any(axis=1) & second_counts,
        (moved.bonus != start.bonus).any(axis=1) & start.is_kind("interacting") & moved.is_kind("interacting"),
    ])  # fmt: skip
    assert changed.sum(axis=0).max() == 1
    assert (changed.mean(axis=1) > 0.01).all()


# --------------------------------------------------------------------------------------- mean utility, whole


@pytest.mark.parametrize("place", [None, 3, 40])
def test_the_mean_utility_is_the_mean_over_single_tastes(place: int | None) -> None:
    """Of two tastes the mean over the prior rests on a sample, so the mean may be off by a little."""
    content = None if place is None else CONTENTS[place]
    expected = np.zeros(len(STYLES))
    for row in range(len(ROWS)):
        spec = ROWS.spec(row)
        bound = content is not None and spec.subjects is not None and content in spec.subjects
        make = Taste.other if bound else Taste.of
        expected += make(spec, crowd=SECOND.share(spec.kind)).of_styles(STYLES) / len(ROWS)
    mean = Particles(ROWS).mean_utility(content)
    np.testing.assert_allclose(mean[tuple(STYLES.T)], expected, atol=0.004)


def test_the_best_style_depends_on_the_content_and_keeps_what_is_asked() -> None:
    """Of one bound taste it is the best of what counts."""
    row = ROWS.rows(np.flatnonzero(ROWS.is_kind("subject-bound"))[:1])
    posterior, subjects = Particles(row), row.spec(0).subjects
    assert subjects is not None
    inside, outside = (next(c for c in CONTENTS if (c in subjects) == bound) for bound in (True, False))
    for content, place in ((inside, 1), (outside, 0)):
        best = one_hot(np.array([posterior.best_style(content)]))
        assert row.utilities(best)[0, place, 0] == pytest.approx(1)
    assert posterior.best_style(inside) != posterior.best_style(outside)
    assert posterior.best_style(inside, {"palette": 5})[0] == 5


def test_a_seed_gives_one_posterior() -> None:
    def mean(seed: int) -> FloatArray:
        return tempered(seen(judging("pairs"), 8), SECOND, seed=seed, each=20, particles=100).mean_utility()

    first = mean(0)
    np.testing.assert_array_equal(first, mean(0))
    assert (first != mean(1)).any()


@pytest.mark.parametrize("dials", [{"silent": 1.0}, {"silent": 0.0}, {"crowd": 0.0}, {"noise": 0.05}, {"quality": 0.0}])
def test_every_dial_leaves_a_posterior(dials: dict[str, float]) -> None:
    world = SECOND.turned(**dials)
    posterior = tempered(seen(judging("pairs"), 4), world, each=20, particles=40, last=2)
    mean = posterior.mean_utility()
    assert np.isfinite(mean).all()
    assert mean[posterior.best_style()] == mean.max() <= 1


def test_a_kind_that_explains_a_history_better_is_more_probable() -> None:
    """Against weighted draws from the prior, of three judgments."""
    history = seen(judging("ratings"), 3)
    rows = Prior(SECOND, np.random.default_rng(2)).tastes(8000)
    weights = np.exp(Likelihood(history, SECOND)(rows))
    expected = np.bincount(rows.kind, weights, len(row_kinds(SECOND))) / weights.sum()
    tastes = tempered(history, SECOND, each=150, particles=600, last=2).tastes
    np.testing.assert_allclose(np.bincount(tastes.kind, minlength=len(expected)) / 600, expected, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pairs", "ratings", "likes"])
def test_the_posterior_is_that_of_weighted_draws_from_the_prior(form: str) -> None:
    """Two judgments a side leave thousands of effective draws: importance sampling is then as good as exact."""
    history, n = seen(judging(form), 2), 60_000
    rng = np.random.default_rng(11)
    rows = sample_rows(rng, 6000, SECOND) if form == "likes" else Prior(SECOND, rng).tastes(n)
    weights = np.exp(Likelihood(history, SECOND)(rows))
    chosen = rng.choice(len(rows), size=8000, p=weights / weights.sum())
    exact = Particles(rows.rows(chosen)).mean_utility()
    posterior = tempered(history, SECOND, seed=5)
    difference = posterior.mean_utility() - exact
    assert np.sqrt((difference**2).mean()) < 0.02 < 0.1 < exact.std()
    assert exact[posterior.best_style()] > exact.max() - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pairs", "ratings", "likes"])
def test_each_form_of_judgments_reveals_a_taste(form: str) -> None:
    """The common best style is worth some .2, what 16 judgments tell far more."""
    users = [user for user in population("train", SECOND)[:200] if user.form == form and user.kind == "consistent"][:6]
    best = [infer(seen(user, 16), world=SECOND).best_style() for user in users]
    assert np.mean([user.taste.of_styles(np.array([b]))[0] for user, b in zip(users, best, strict=True)]) > 0.4
