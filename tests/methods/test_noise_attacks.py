"""Attackers with gradients: the ascent itself, the gradients that instruments give, and what the noise wins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prefbench.api import Backbone, Case, Context, FloatArray, History, Method, PrefbenchError, Request, to_pixels
from prefbench.api.gradients import SlopedExtractor, Slopes
from prefbench.methods.attacks.clip_noise import ClipNoise
from prefbench.methods.attacks.joint_noise import JointNoise
from prefbench.methods.attacks.noise import NoiseAttack, together
from prefbench.methods.attacks.reader_noise import ReaderNoise
from prefbench.methods.attacks.scorer_noise import ScorerNoise
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared.climbing import Through, climb
from prefbench.metrics.scorers.preference.scorer import PreferenceScorer
from prefbench.models.backbones.denoising import Denoiser
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.extractors.clip import mini_clip
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.world.axes import Scene
from prefbench.suites.picturebook.world.render import render

SUPPORT = Path(__file__).parents[1] / "support"
SUITE = Picturebook()
USERS = [user.id for user in SUITE.users("test")[:2]]
PICTURES = [render(Scene.of(object=i, palette=i % 6), i) for i in range(3)]
LEVELS = np.stack(PICTURES).astype(np.float64)
ATTACKERS: tuple[type[NoiseAttack], ...] = (ReaderNoise, ScorerNoise, ClipNoise, JointNoise)


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> Backbone:
    return load_backbone(str(tiny_sd), device="cpu", steps=1)


def requests_of(method: Method) -> list[Request]:
    """Two samples of one user and one of another."""
    profiles = [method.profile(SUITE.history(user)) for user in USERS]
    cases = [Case(f"{profile.user}/0", profile.user, "a cat at sea") for profile in profiles]
    return [Request(cases[k], i, 7 + i, profiles[k]) for i, k in enumerate((0, 0, 1))]


# ------------------------------------------------------------------------------------------------------ the ascent


def brightness(pictures: FloatArray) -> Slopes:
    return Slopes(pictures.mean((1, 2, 3)), np.full(pictures.shape, 1.0 / pictures[0].size))


@pytest.mark.parametrize("through", ["plain", "shifts", "shifts and jpeg"])
def test_the_ascent_ends_at_the_edge_of_what_it_may_change(through: Through) -> None:
    """The best of all pictures within 5 levels of these, by brightness, is 5 levels brighter."""
    for made, clean in zip(
        climb(PICTURES, brightness, levels=5, steps=20, seeds=[1, 2, 3], through=through), PICTURES, strict=True
    ):
        np.testing.assert_array_equal(made, np.minimum(clean.astype(int) + 5, 255))


def test_through_all_that_an_audit_looks_through_the_ascent_stays_within_its_levels(
    backbone: Backbone,
) -> None:
    denoiser = Denoiser(backbone)

    def ascent(through: Through, of: Denoiser | None) -> FloatArray:
        made = climb(PICTURES, brightness, levels=5, steps=3, seeds=[1, 2, 3], through=through, denoiser=of)
        return np.stack(made) - LEVELS

    plain, adaptive = ascent("plain", None), ascent("audit", denoiser)
    assert np.abs(adaptive).max() == 5
    assert (adaptive != plain).any()
    np.testing.assert_array_equal(adaptive, ascent("audit", denoiser))
    for through, of in (("audit", None), ("plain", denoiser)):
        with pytest.raises(PrefbenchError, match="a denoiser goes with through='audit'"):
            ascent(through, of)


def test_no_number_is_changed_by_more_than_the_levels_and_equal_seeds_give_equal_noise() -> None:
    def rough(pictures: FloatArray) -> Slopes:
        return Slopes(np.zeros(len(pictures)), np.sin(pictures * 1.7))

    first, again, other = (
        np.stack(climb(PICTURES, rough, levels=3, steps=4, seeds=seeds, through="plain"))
        for seeds in ([1, 2, 3], [1, 2, 3], [4, 5, 6])
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert np.abs(first - LEVELS).max() == 3


def test_averaged_over_shifts_the_ascent_raises_what_a_shifted_picture_shows() -> None:
    """One pixel is measured: the plain ascent knows no better than to move it alone."""

    def one_pixel(pictures: FloatArray) -> Slopes:
        gradients = np.zeros(pictures.shape)
        gradients[:, 16, 16] = 1
        return Slopes(pictures[:, 16, 16].sum(-1), gradients)

    plain, averaged = (
        np.stack(climb(PICTURES, one_pixel, levels=8, steps=30, seeds=[1, 2, 3], through=through)) - LEVELS
        for through in ("plain", "shifts")
    )
    assert averaged[:, 15:18, 15:18].mean() > 6 > 3 > plain[:, 15:18, 15:18].mean()


def test_parts_of_different_scales_count_alike() -> None:
    one, other = np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 3))
    one[0, 0, 0, 0], other[0, 1, 1, 2] = 1000.0, -0.001
    joined = together([Slopes(np.ones(1), one), Slopes(np.ones(1), other)])
    assert (joined.values, joined.gradients[0, 0, 0, 0], joined.gradients[0, 1, 1, 2]) == (2, 1, -1)


# ------------------------------------------------------------------------------------------ gradients of instruments


def assert_slopes_fit(slopes: Slopes, at: Sequence[Slopes]) -> None:
    """Central differences along the gradient's own sign, the steepest direction there is for noise."""
    measured = (at[1].values - at[0].values) / 2
    predicted = np.abs(slopes.gradients).sum((1, 2, 3)) * STEP
    np.testing.assert_allclose(measured, predicted, rtol=0.05, atol=1e-7)
    assert (predicted > 0).all()


STEP = 0.02


def shifted(slopes: Slopes) -> list[FloatArray]:
    return [LEVELS + sign * STEP * np.sign(slopes.gradients) for sign in (-1, 1)]


def test_the_truth_gives_the_gradient_of_its_utility() -> None:
    truth, prompts = SUITE.truth, ["a cat at sea"] * 3
    for user in USERS:
        slopes = truth.utility_slopes(user, prompts, LEVELS)
        np.testing.assert_allclose(slopes.values, truth.utility(user, prompts, PICTURES)["total"], atol=1e-6)
        assert_slopes_fit(slopes, [truth.utility_slopes(user, prompts, x) for x in shifted(slopes)])


def test_the_scorer_gives_the_gradient_of_its_score() -> None:
    scorer, shown, prompts = PreferenceScorer(), SUITE.history(USERS[0]), ["a cat at sea"] * 3
    slopes = scorer.score_slopes(shown, prompts, LEVELS)
    np.testing.assert_allclose(slopes.values, scorer.score(shown, prompts, PICTURES), atol=1e-6)
    assert_slopes_fit(slopes, [scorer.score_slopes(shown, prompts, x) for x in shifted(slopes)])


def test_clip_gives_the_gradient_of_a_function_of_its_features() -> None:
    extractor = mini_clip()
    assert isinstance(extractor, SlopedExtractor)
    features = mini_clip().images(PICTURES)
    slopes = extractor.image_slopes(LEVELS, lambda x: x[:, 5])
    np.testing.assert_allclose(slopes.values, features[:, 5], atol=1e-5)
    assert_slopes_fit(slopes, [extractor.image_slopes(x, lambda y: y[:, 5]) for x in shifted(slopes)])
    with pytest.raises(PrefbenchError, match="mini-clip gives no gradients of pictures 30x30"):
        extractor.image_slopes(LEVELS[:, :30, :30], lambda x: x[:, 5])


# ------------------------------------------------------------------------------------------------------- attackers


@pytest.mark.slow
@pytest.mark.parametrize("attacker", ATTACKERS)
def test_noise_stays_within_its_levels_of_what_the_prompt_alone_gives(
    attacker: type[NoiseAttack], backbone: Backbone
) -> None:
    method, plain = attacker(levels=4, steps=2), PromptOnly()
    context = Context(backbone, SUITE.truth)
    for one in (method, plain):
        one.setup(context)
    made, clean = ([to_pixels(d.image).astype(int) for d in m.generate(requests_of(m))] for m in (method, plain))
    changes = np.abs(np.stack(made) - np.stack(clean))
    assert 2 <= changes.max() <= 4


@pytest.mark.slow
def test_reader_noise_raises_each_users_own_utility(backbone: Backbone) -> None:
    method = ReaderNoise(levels=16, steps=5)
    method.setup(Context(backbone, SUITE.truth))
    asked = requests_of(method)
    noisy = [to_pixels(drawing.image) for drawing in method.generate(asked)]
    clean = [to_pixels(image) for image in backbone.generate(["a cat at sea"] * 3, [7, 8, 9])]
    for i, request in enumerate(asked):
        user, prompts = request.profile.user, [request.prompt] * 2
        before, after = SUITE.truth.utility(user, prompts, [clean[i], noisy[i]])["total"]
        assert after > before + 0.02


def test_an_instrument_without_gradients_is_refused(backbone: Backbone) -> None:
    for attacker in (ReaderNoise(), JointNoise()):
        with pytest.raises(PrefbenchError, match=f"{attacker.card.name} needs a suite whose truth is known"):
            attacker.setup(Context(backbone))
    scorer = f"{SUPPORT / 'brightest.py'}:Brightest"
    with pytest.raises(PrefbenchError, match=r"scorer '.*Brightest' gives no gradients"):
        ScorerNoise(scorer=scorer).setup(Context(backbone))
    with pytest.raises(PrefbenchError, match="extractor 'style-statistics' gives no gradients"):
        ClipNoise(extractor="style-statistics").setup(Context(backbone))


def test_mistaken_parameters_are_named() -> None:
    with pytest.raises(PrefbenchError, match="levels must be 1 to 255, got 0"):
        ReaderNoise(levels=0)
    with pytest.raises(PrefbenchError, match="steps must be at least 1, got 0"):
        ClipNoise(steps=0)


def test_what_an_attacker_climbs_is_on_record(backbone: Backbone) -> None:
    scorer, clip = ScorerNoise(), ClipNoise()
    for method in (scorer, clip):
        method.setup(Context(backbone))
    assert scorer.card_in_use.selected_by == ("preference",)
    assert clip.card_in_use.encoders == ("mini-clip",)
    assert len({scorer.weights_digest, clip.weights_digest}) == 2
    assert all(attacker.card.attack and attacker.card.control for attacker in ATTACKERS)


def test_an_empty_history_is_attacked_too(backbone: Backbone) -> None:
    method = ReaderNoise(levels=2, steps=1)
    method.setup(Context(backbone, SUITE.truth))
    profile = method.profile(History(USERS[0], (), ()))
    (drawing,) = method.generate([Request(Case("c", USERS[0], "a cat at sea"), 0, 3, profile)])
    assert to_pixels(drawing.image).shape == (32, 32, 3)
