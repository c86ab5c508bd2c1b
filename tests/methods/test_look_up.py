"""Look-up attackers: what they win where they know the suite's ids, and what is left of it under opaque names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prefbench.api import (
    Backbone,
    Case,
    Context,
    History,
    Judgment,
    Method,
    Picture,
    PrefbenchError,
    Request,
    to_pixels,
)
from prefbench.methods.attacks.best_of_reader import BestOfReader
from prefbench.methods.attacks.feature_match import FeatureMatch
from prefbench.methods.attacks.look_up import LookUp, LookUpId, LookUpPictures
from prefbench.methods.attacks.name_state import NameState
from prefbench.methods.prompt_only import PromptOnly
from prefbench.models.backbones.loader import load_backbone
from prefbench.probing.plan import probe_plans
from prefbench.registry import load, names
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.reach import reached_by
from prefbench.run.states import collect_states, load_states
from prefbench.suites.picturebook.suite import Picturebook
from tests.support import tiny_suite
from tests.support.plain_names import PlainNames

BOOK = Picturebook(history=2)
USERS = [user.id for user in BOOK.users("test")[:4]]
SEEDS = (3, 10**18 + 1)
Shown = Callable[[History], History]


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> Backbone:
    return load_backbone(str(tiny_sd), device="cpu", steps=1)


def drawn(method: Method, backbone: Backbone, history: History, prompt: str) -> list[np.ndarray]:
    method.setup(Context(backbone))
    profile = method.profile(history)
    requests = [Request(Case("c", history.user, prompt), i, seed, profile) for i, seed in enumerate(SEEDS)]
    return [to_pixels(drawing.image) for drawing in method.generate(requests)]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attacker", "shown", "found"),
    [
        (LookUpId, lambda history: history, True),
        (LookUpId, lambda history: OpaqueNames().history(history), False),
        (LookUpPictures, lambda history: OpaqueNames().history(history), True),
    ],
    ids=["id", "id under opaque names", "pictures under opaque names"],
)
def test_a_look_up_draws_the_truth_for_whom_it_finds_and_the_prompt_alone_for_others(
    attacker: type[LookUp], shown: Shown, found: bool, backbone: Backbone
) -> None:
    history, prompt = BOOK.history(USERS[0]), BOOK.cases(USERS[0])[0].prompt
    images = drawn(attacker(), backbone, shown(history), prompt)
    side = backbone.card.resolution
    ideal = [to_pixels(BOOK.truth.ideal(USERS[0], prompt, seed).resize((side, side))) for seed in SEEDS]
    plain = drawn(PromptOnly(), backbone, history, prompt)
    assert same(images, ideal if found else plain)
    assert not same(ideal, plain)


@pytest.mark.slow
def test_users_of_another_population_are_not_found(backbone: Backbone) -> None:
    other = Picturebook(history=2, population=7)
    prompt = other.cases(USERS[0])[0].prompt
    images = drawn(LookUpPictures(), backbone, other.history(USERS[0]), prompt)
    assert same(images, drawn(PromptOnly(), backbone, other.history(USERS[0]), prompt))


def test_a_hash_of_the_name_knows_the_halves_of_a_history_for_one_only_under_the_suites_ids(tmp_path: Path) -> None:
    histories = {user: BOOK.history(user) for user in USERS}
    plans = [plan for plan in probe_plans(histories, histories) if plan.halves]
    alike = {}
    for kind in (PlainNames, OpaqueNames):
        folder = RunFolder(tmp_path / kind.__name__)
        collect_states(plans, NameState(), folder, names=kind())
        states = load_states(folder, BOOK, [plan.user for plan in plans])
        alike[kind] = [
            bool((one.half_states["name"][0] == one.half_states["name"][1]).all()) for one in states.values()
        ]
    assert alike[PlainNames] == [True] * len(plans)
    assert alike[OpaqueNames] == [False] * len(plans)
    assert plans


@pytest.mark.slow
def test_the_best_by_the_reader_is_that_whose_attributes_are_those_of_the_likes(backbone: Backbone) -> None:
    method = BestOfReader(n=2)
    method.setup(Context(backbone))
    history = BOOK.history(USERS[0])
    payload = method.profile(history).payload
    liked, disliked = ([to_pixels(j.picture.load()) for j in side] for side in (history.liked, history.disliked))
    scores = method.scores(payload, [*liked, *disliked])
    assert scores[: len(liked)].mean() > scores[len(liked) :].mean()
    assert method.profile(History("ann", (), ())).payload is None
    read = BOOK.truth.read(liked)["palette"].mean(0) - BOOK.truth.read(disliked)["palette"].mean(0)
    np.testing.assert_allclose(payload["palette"], read)


def test_the_nearest_by_features_is_the_like_itself(backbone: Backbone) -> None:
    method = FeatureMatch(n=2, extractor="style-statistics")
    method.setup(Context(backbone))
    liked = BOOK.history(USERS[0]).liked[0]
    payload = method.profile(History("ann", (liked,), ())).payload
    pixels = [to_pixels(j.picture.load()) for j in (liked, *BOOK.history(USERS[1]).disliked)]
    assert int(np.argmax(method.scores(payload, pixels))) == 0
    assert method.card_in_use.encoders == ("style-statistics",)
    assert method.profile(History("ann", (), ())).payload is None


@pytest.mark.parametrize("name", [name for name in names("method") if load("method", name).card.imports])
def test_an_attacker_that_imports_the_suite_says_so_and_is_a_control(name: str) -> None:
    method = load("method", name)
    assert method.card.control
    assert method.card.attack
    assert reached_by(method)


@pytest.mark.parametrize("attacker", [LookUpId, BestOfReader])
def test_a_suite_without_a_truth_is_refused(attacker: type[Method], backbone: Backbone) -> None:
    with pytest.raises(PrefbenchError, match="needs a suite"):
        attacker(suite=f"{tiny_suite.__file__}:TinySuite").setup(Context(backbone))  # type: ignore[call-arg]


@pytest.mark.parametrize("attacker", [FeatureMatch, BestOfReader])
def test_no_candidate_is_refused(attacker: type[Method]) -> None:
    with pytest.raises(PrefbenchError, match="n must be at least 1, got 0"):
        attacker(n=0)  # type: ignore[call-arg]


def test_pictures_from_elsewhere_belong_to_nobody(backbone: Backbone) -> None:
    method = LookUpPictures()
    method.setup(Context(backbone))
    method.__dict__["_owner"] = {"known": "test-0000"}
    assert method.find(History("ann", (Judgment(Picture("known"), "p", True),), ())) == "test-0000"
    assert method.find(History("ann", (Judgment(Picture("other"), "p", True),), ())) is None
