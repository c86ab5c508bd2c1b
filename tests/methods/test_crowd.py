"""`crowd`: what it learns from whom, that a user's own judgments change nothing, what it draws, what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import (
    Backbone,
    Case,
    Context,
    FloatArray,
    History,
    Judgment,
    Picture,
    PrefbenchError,
    Request,
    TrainUser,
    to_pixels,
)
from prefbench.methods.crowd import Crowd
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared.candidates import candidate_seeds
from prefbench.methods.shared.crowd_taste import CrowdTaste, Looks, looks_of
from prefbench.models.backbones.loader import load_backbone
from prefbench.run.opaque import OpaqueNames
from prefbench.run.set_up import context_of, people_of
from prefbench.suites.folder.suite import suite_of
from tests.support.judged_folders import write_layout, write_table
from tests.support.tiny_suite import TinySuite, WordlessSuite, history, train_user

SEEDS = (3, 10**18 + 1, 7)


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> Backbone:
    return load_backbone(str(tiny_sd), device="cpu", steps=1)


def plain(level: int, seed: int = 0) -> Picture:
    """A picture of one brightness with a little noise."""
    pixels = np.random.default_rng(seed).integers(level, level + 20, (24, 24, 3))
    return Picture.of(Image.fromarray(pixels.astype(np.uint8)))


def person(name: str, liked: int | None, disliked: int | None = None, n: int = 3) -> TrainUser:
    """Somebody who likes and dislikes pictures of one brightness each."""
    sides = [
        () if v is None else tuple(Judgment(plain(v, i), "", v == liked) for i in range(n)) for v in (liked, disliked)
    ]
    return TrainUser(History(name, *sides))


def made(backbone: Backbone, people: Sequence[TrainUser], **parameters: int) -> Crowd:
    method = Crowd(**parameters)
    method.setup(Context(backbone, people=lambda: people))
    return method


def requests(method: Crowd | PromptOnly, shown: History, prompt: str = "a fox") -> list[Request]:
    profile = method.profile(shown)
    return [Request(Case("c", shown.user, prompt), i, seed, profile) for i, seed in enumerate(SEEDS)]


def brightness(method: Crowd | PromptOnly, user: str) -> float:
    drawings = method.generate(requests(method, History(user, (), ())))
    return float(np.mean([to_pixels(drawing.image).mean() for drawing in drawings]))


def payload(method: Crowd, shown: History) -> str:
    return repr(method.profile(shown).payload)


# ------------------------------------------------------------------------------------------------------ from whom


def test_people_are_the_train_users_else_everybody_of_the_split_as_methods_see_them() -> None:
    assert [one.history.user for one in people_of(TinySuite(), "test", OpaqueNames())] == [
        f"train-{i}" for i in range(6)
    ]

    class Untaught(TinySuite):
        def train_users(self) -> Sequence[TrainUser]:
            return []

    suite = Untaught()
    names = OpaqueNames()
    people = people_of(suite, "test", names)
    assert [one.history for one in people] == [names.history(suite.history(f"test-{i}")) for i in range(3)]
    assert not any("test" in one.history.user for one in people)
    assert all(not one.likes for one in people_of(suite, "val", names))


def test_only_methods_that_ask_get_people_and_an_honest_one_gets_nothing_else(backbone: Backbone) -> None:
    honest, asking = (context_of(method, backbone, TinySuite(), OpaqueNames()) for method in (PromptOnly(), Crowd()))
    assert honest.people is None
    assert asking.people is not None
    assert (asking.truth, asking.train_users) == (None, None)
    assert list(vars(asking.people)) == ["_people"], "nothing of the suite is reached by way of it"
    assert all(isinstance(one, TrainUser) for one in asking.people())


def test_the_own_judgments_of_a_user_change_nothing(backbone: Backbone) -> None:
    """Neither what a method is shown of the user, nor what the pool holds of them."""
    people = [person("ann", 200, 20), person("bob", 180, 30), person("cyd", 190, 40)]
    other = [person("ann", 5, 240), *people[1:]]
    method = made(backbone, people)
    assert payload(method, people[0].history) == payload(made(backbone, other), other[0].history)
    assert payload(method, people[0].history) == payload(method, History("ann", (), ()))
    assert payload(method, people[0].history) != payload(method, people[1].history)
    assert payload(method, History("new", (), ())) != payload(method, people[0].history), "all three count for others"


def test_everybody_counts_equally_however_much_they_judged() -> None:
    taste = CrowdTaste.of([Looks.of(person("ann", 200, 20, n=10)), Looks.of(person("bob", 100, 20, n=1))])
    assert taste is not None
    centre = taste.liked[0] * taste.spread[0] + taste.mean[0]
    levels = [looks_of(np.asarray(plain(level, i).load()))[0] for level, n in ((200, 10), (100, 1)) for i in range(n)]
    assert centre == pytest.approx((np.mean(levels[:10]) + levels[10]) / 2)


def test_of_many_people_some_are_looked_at_and_all_are_in_the_digest(backbone: Backbone) -> None:
    people = [person(f"user {i:03}", 200, 20, n=1) for i in range(210)]
    method = made(backbone, people)
    assert len(method._looks) == 105
    changed = [*people[:-1], person("user 209", 10, 20, n=1)]
    assert made(backbone, changed).weights_digest != method.weights_digest


# ----------------------------------------------------------------------------------------------------------- words


def test_words_of_most_people_stand_in_every_prompt_whoever_it_is_for(backbone: Backbone) -> None:
    method = made(backbone, [train_user(i) for i in range(6)], words=1)
    for user in ("test-0", "test-1"):
        drawings = method.generate(requests(method, history(user, 1, 2)))
        assert [drawing.prompt_used for drawing in drawings] == ["a fox, bright"] * 3
    assert method.card_in_use.trained_on == ("picturebook:train",)


def test_a_train_user_is_no_part_of_their_own_crowd(backbone: Backbone) -> None:
    people = [replace(train_user(i), likes=("one",) if i else ("two", "three"), dislikes=()) for i in range(2)]
    method = made(backbone, people, words=3)
    assert method.profile(people[0].history).payload == "one"
    assert method.profile(people[1].history).payload == "three, two"


# -------------------------------------------------------------------------------------------------------- pictures


def liking(taste: CrowdTaste | None, *levels: int) -> FloatArray:
    assert taste is not None
    return taste.liking([np.full((32, 32, 3), level, np.uint8) for level in levels])


def test_what_is_liked_is_preferred_to_what_is_disliked_and_nothing_but_likes_will_do() -> None:
    both = CrowdTaste.of([Looks.of(person(name, 200, 20)) for name in "ab"])
    dark, bright = liking(both, 25, 205)
    assert bright > 0 > dark
    alone = CrowdTaste.of([Looks.of(person("a", 200)), Looks.of(person("b", 160))])
    assert alone is not None
    assert alone.disliked is None
    assert liking(alone, 180)[0] > max(liking(alone, 20, 250))
    assert CrowdTaste.of([Looks.of(person("a", None, 20))]) is None


def test_what_lies_far_beyond_all_judged_pictures_counts_no_more_than_what_lies_at_their_edge() -> None:
    ones = np.ones(10)
    taste = CrowdTaste(mean=0 * ones, spread=0.01 * ones, liked=ones, disliked=-ones)
    edge, beyond, dark = liking(taste, 200, 250, 0)
    assert edge == pytest.approx(beyond)
    assert edge > dark


def test_a_picture_looks_alike_in_any_size_and_ten_numbers_are_what_they_say() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    large = pixels.repeat(4, axis=0).repeat(4, axis=1)
    assert looks_of(large) == pytest.approx(looks_of(pixels), abs=0.01)
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    assert looks_of(red) == pytest.approx([1 / 3, 0, 1, 0, -0.5, 0, 1, 0, 0, 0])
    halves = np.zeros((32, 32, 3), np.uint8)
    halves[:, 16:] = 255
    assert looks_of(halves)[[0, 1, 8, 9]] == pytest.approx([0.5, 0.5, 32 / (2 * 31 * 32), 0.5])


def test_of_the_candidates_the_one_that_others_like_best_is_kept(backbone: Backbone) -> None:
    method = made(backbone, [person(name, 230, 10) for name in "ab"], n=4)
    drawings = method.generate(requests(method, History("test-0", (), ())))
    taste = CrowdTaste(**method.profile(History("test-0", (), ())).payload)
    for drawing, seed in zip(drawings, SEEDS, strict=True):
        candidates = [to_pixels(backbone.generate(["a fox"], [s])[0]) for s in candidate_seeds(seed, 4)]
        best = candidates[int(np.argmax(taste.liking(candidates)))]
        assert np.abs(to_pixels(drawing.image).astype(int) - best).mean() < 1
        assert (drawing.prompt_used, drawing.nfe) == ("a fox", 4 * backbone.nfe)
    assert method.card_in_use.trained_on == ()


@pytest.mark.slow
def test_who_likes_light_gets_lighter_pictures_than_who_likes_dark(backbone: Backbone) -> None:
    light, dark = (made(backbone, [person(name, *levels) for name in "ab"]) for levels in ((230, 10), (10, 230)))
    plain_prompt = PromptOnly()
    plain_prompt.setup(Context(backbone))
    assert brightness(light, "new") > brightness(plain_prompt, "new") > brightness(dark, "new")
    assert brightness(made(backbone, [person(name, 230, 10) for name in "ab"], n=1), "new") == pytest.approx(
        brightness(plain_prompt, "new"), abs=0.5
    )


def test_a_suite_without_words_is_judged_by_its_train_users_pictures(backbone: Backbone) -> None:
    method = Crowd(n=2)
    method.setup(context_of(method, backbone, WordlessSuite(), OpaqueNames()))
    assert not method.has_words
    assert len(method._looks) == 4
    worded = Crowd(words=0, n=2)
    worded.setup(context_of(worded, backbone, TinySuite(), OpaqueNames()))
    assert not worded.has_words


def test_a_folder_without_train_users_has_a_crowd_of_everybody_else(backbone: Backbone, tmp_path: Path) -> None:
    suite = suite_of(str(write_layout(tmp_path, ["ann", "ben", "cat"])))()
    method = Crowd(n=2)
    names = OpaqueNames()
    method.setup(context_of(method, backbone, suite, names))
    assert {one.history.user for one in method.people} == {names.user(user) for user in ("ann", "ben", "cat")}
    shown = names.history(suite.history("ann"))
    assert len(method._without(shown.user)) == 2, "who is drawn for is left out, by the name that the method knows"
    assert {j.picture.digest for one in method.people for j in one.history.liked}.isdisjoint(
        j.picture.digest for user in ("ann", "ben", "cat") for j in suite.history(user, "scorer").liked
    ), "nothing that scorers see"
    assert len(method.generate(requests(method, shown))) == 3


# --------------------------------------------------------------------------------------------------------- refused


def test_one_person_is_no_crowd(backbone: Backbone, tmp_path: Path) -> None:
    rows = [{"file_name": f"{n}.png", "liked": n % 2} for n in range(8)]
    suite = suite_of(str(write_table(tmp_path, rows)))()
    method = Crowd()
    with pytest.raises(PrefbenchError, match="crowd needs at least two people: one person is no crowd"):
        method.setup(context_of(method, backbone, suite, OpaqueNames()))
    with pytest.raises(PrefbenchError, match="needs at least two people"):
        Crowd().setup(Context(backbone))


def test_people_who_like_nothing_are_no_help(backbone: Backbone) -> None:
    with pytest.raises(PrefbenchError, match="crowd needs people who like something; nobody does"):
        made(backbone, [person(name, None, 20) for name in "ab"])
    method = made(backbone, [person("ann", 200, 20), person("bob", None, 20)])
    with pytest.raises(PrefbenchError, match="nobody but ann likes anything"):
        method.profile(History("ann", (), ()))


@pytest.mark.parametrize(("parameters", "message"), [({"words": -1}, "words must be"), ({"n": 0}, "n must be")])
def test_mistaken_parameters_are_named(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(PrefbenchError, match=message):
        Crowd(**parameters)


def test_it_is_an_honest_method() -> None:
    card = Crowd.card
    assert (card.control, card.attack, card.encoders, card.selected_by) == (False, "", (), ())
    assert not card.uses_liked
    assert not card.uses_disliked
