"""`tally`: what it learns from people and how, which words and which of n drawings it chooses, what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from prefbench.api import (
    Backbone,
    Case,
    Context,
    Features,
    History,
    Judgment,
    Picture,
    PrefbenchError,
    Request,
    TrainUser,
    to_pixels,
)
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared import tallies
from prefbench.methods.shared.tallies import Tallied, learn, tally_of
from prefbench.methods.tally import Tally
from prefbench.models.backbones.loader import load_backbone

COLOURS, SIZES = ("in red", "in green", "in blue"), ("large", "small")


def picture(colour: int, size: int, light: int, rng: np.random.Generator) -> tuple[Picture, tuple[str, ...]]:
    """A square of a colour and a size on a ground, lighter or darker, which no phrase tells."""
    pixels = np.full((16, 16, 3), 90 + 60 * light) + rng.integers(0, 12, (16, 16, 3))
    half = (3, 6)[size == 0]
    pixels[8 - half : 8 + half, 8 - half : 8 + half, colour] = 250
    return Picture.of(Image.fromarray(pixels.astype(np.uint8))), (COLOURS[colour], SIZES[size])


def person(place: int, n: int = 10) -> TrainUser:
    """Somebody who likes one colour and, every second, the light or the dark; nobody minds the size."""
    rng = np.random.default_rng(place)
    sides: tuple[list[Judgment], list[Judgment]] = [], []
    shows = {}
    for i in range(n):
        light = place % 2
        both = [((place % 3), light), ((place + 1 + i % 2) % 3, 1 - light)]
        for side, liked, (colour, ground) in zip(sides, (True, False), both, strict=True):
            shown, phrases = picture(colour, int(rng.integers(2)), ground, rng)
            shows[shown.digest] = phrases
            side.append(Judgment(shown, "a square", liked, pair=f"{place}/{i}"))
    return TrainUser(History(f"train-{place:02}", *map(tuple, sides)), shows=shows)


def states_of(images: Sequence[Image.Image]) -> Features:
    """Plain pixels, reduced."""
    return np.array([np.asarray(image.resize((4, 4))).ravel() / 255 for image in images], dtype=np.float64)


@pytest.fixture(scope="module")
def learned() -> Tallied:
    return learn([person(i) for i in range(24)], states_of)


def weights_of(learned: Tallied, history: History) -> Features:
    sides = ([one.picture.load() for one in side] for side in (history.liked, history.disliked))
    return learned.weights(*(states_of(side) if side else np.zeros((0, 48)) for side in sides))


# ------------------------------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("place", range(100, 106))
def test_a_new_user_is_given_the_word_of_the_liked_colour_and_none_for_the_size(learned: Tallied, place: int) -> None:
    words = learned.words(weights_of(learned, person(place, 6).history), 0.5)
    assert words == [COLOURS[place % 3]]


def test_what_no_phrase_tells_is_preferred_through_directions(learned: Tallied) -> None:
    """Users who like the light value it more than users of the same colour who like the dark."""
    rng = np.random.default_rng(5)
    for place in range(100, 106):
        light, dark = (picture(place % 3, 0, ground, rng)[0].load() for ground in (1, 0))
        gain = np.subtract(*learned.eyes.features(states_of([light, dark])))
        own, other = (gain @ weights_of(learned, person(one, 6).history) for one in (place, place + 3))
        assert (own > other) == (place % 2 == 1)


def test_components_are_uncorrelated_and_of_unit_variance_also_of_few_pictures() -> None:
    rng = np.random.default_rng(1)
    for rows in (12, 400):
        states = rng.normal(size=(rows, 30)) @ rng.normal(size=(30, 30))
        mean, whitening = tallies._whitening(states)
        components = (states - mean) @ whitening
        np.testing.assert_allclose(np.cov(components, rowvar=False), np.eye(min(rows - 1, 30)), atol=1e-6)


def test_phrases_exclude_those_that_no_picture_shows_with_them(learned: Tallied) -> None:
    assert learned.eyes.phrases == tuple(sorted((*COLOURS, *SIZES)))
    groups = {frozenset(np.array(learned.eyes.phrases)[row]) for row in learned.excluded}
    assert groups == {frozenset(COLOURS), frozenset(SIZES)}


def test_without_judgments_only_what_everybody_likes_counts(learned: Tallied) -> None:
    assert (weights_of(learned, History("new", (), ())) == learned.everybody).all()


def test_a_tally_is_nearer_to_nothing_the_less_was_judged() -> None:
    ones = np.ones((6, 2))
    assert tally_of(ones, ones[:0]).tolist() == [0.75, 0.75]
    assert tally_of(ones[:2], ones).tolist() == [-0.25, -0.25]


def test_meanings_are_those_of_a_logistic_regression_on_products() -> None:
    rng = np.random.default_rng(0)
    made = tallies._Learned(
        rng.normal(size=(400, 3)), rng.normal(size=(30, 3)), np.sort(rng.permutation(np.arange(400) % 30))
    )
    made = made._replace(preferred=made.preferred * np.sign(made.preferred @ [1.0, -0.5, 0.2])[:, None])
    found = tallies._fit(made, 7.0)
    design = np.hstack([
        (made.preferred[:, :, None] * made.tallies[made.of][:, None, :]).reshape(400, 9), made.preferred
    ])  # fmt: skip
    signs = np.where(np.arange(400) % 2 == 0, 1, -1)  # both classes: a comparison read backwards says the same
    plain = LogisticRegression(C=1 / 7.0, fit_intercept=False, tol=1e-10, max_iter=1000).fit(
        design * signs[:, None], signs
    )
    np.testing.assert_allclose([*found.meaning.ravel(), *found.everybody], plain.coef_[0], atol=2e-3)


def test_comparisons_are_pairs_first_and_single_judgments_in_their_order() -> None:
    pictures = [person(0, 3).history.liked[i].picture for i in range(3)] + [
        one.picture for one in person(1, 3).history.disliked
    ]
    liked = tuple(Judgment(p, "", True, pair=pair) for p, pair in zip(pictures[:3], ("a", None, "b"), strict=True))
    disliked = tuple(Judgment(p, "", False, pair=pair) for p, pair in zip(pictures[3:], ("b", None, None), strict=True))
    places = {one.digest: i for i, one in enumerate(pictures)}
    assert tallies._comparisons(History("ann", liked, disliked), places).tolist() == [[1, 4], [2, 3]]


def test_there_must_be_two_people_who_like_and_dislike() -> None:
    fond = replace(person(1), history=replace(person(1).history, disliked=()))
    with pytest.raises(PrefbenchError, match="at least two people who like two pictures and dislike two others"):
        learn([person(0), fond], states_of)


# --------------------------------------------------------------------------------------------------- the method


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> Backbone:
    return load_backbone(str(tiny_sd), device="cpu", steps=1)


PEOPLE = [person(i, 4) for i in range(8)]


def made(backbone: Backbone, people: Sequence[TrainUser] = PEOPLE, **parameters: int | float) -> Tally:
    method = Tally(**parameters)
    method.setup(Context(backbone, people=lambda: people))
    return method


def requests(method: Tally | PromptOnly, history: History) -> list[Request]:
    profile = method.profile(history)
    return [Request(Case("c", history.user, "a square"), i, seed, profile) for i, seed in enumerate((3, 11))]


@pytest.mark.slow
def test_the_best_of_n_has_at_least_the_value_of_the_first(backbone: Backbone) -> None:
    history = person(101, 4).history
    values = {}
    for n in (1, 4):
        method = made(backbone, n=n, least=100.0)
        drawings = method.generate(requests(method, history))
        assert [drawing.nfe for drawing in drawings] == [n * backbone.nfe] * 2
        weights = np.array(method.profile(history).payload["weights"])
        values[n] = [method._states([Judgment(Picture.of(d.image), "", True)]) for d in drawings]
        values[n] = [float((method._learned("").eyes.features(one) @ weights)[0]) for one in values[n]]
    assert all(best >= first for best, first in zip(values[4], values[1], strict=True))


def test_without_words_and_choice_it_draws_what_prompt_only_draws(backbone: Backbone) -> None:
    method, plain = made(backbone, least=100.0), PromptOnly()
    plain.setup(Context(backbone))
    pairs = zip(
        method.generate(requests(method, PEOPLE[0].history)),
        plain.generate(requests(plain, History("x", (), ()))),
        strict=True,
    )
    assert all((to_pixels(a.image) == to_pixels(b.image)).all() for a, b in pairs)


@pytest.mark.slow
def test_the_own_judgments_of_a_user_teach_nothing_about_that_user(backbone: Backbone) -> None:
    other = [replace(person(50, 4), history=replace(person(50, 4).history, user="train-00")), *PEOPLE[1:]]
    shown = PEOPLE[0].history
    assert made(backbone).profile(shown).payload == made(backbone, other).profile(shown).payload
    assert made(backbone).weights_digest != made(backbone, other).weights_digest
    elsewhere = replace(shown, user="new")
    assert made(backbone).profile(elsewhere).payload != made(backbone, other).profile(elsewhere).payload


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"n": 0}, "n must be at least 1"), ({"least": -1.0}, "least must be 0 or more"), ({"people": 1}, "at least 2")],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(PrefbenchError, match=message):
        Tally(**parameters)


def test_it_needs_people(backbone: Backbone) -> None:
    with pytest.raises(PrefbenchError, match="tally needs at least two people to learn from"):
        made(backbone, PEOPLE[:1])
