"""The metric `probing`: chance where there is no taste, more where there is, a floor where prompts give users away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from prefbench.api import (
    Estimate,
    Evidence,
    Features,
    FloatArray,
    Judgment,
    NotMeasurableError,
    Picture,
    Scores,
    UserStates,
)
from prefbench.metrics.probing import Probing
from prefbench.probing.plan import HALF_SIZE, ITEMS_PER_SIDE
from prefbench.stats.means import mean_interval

WIDTH, PROMPTS = 6, 12
CHANCE = {"probing/recall@10": 0.1, "probing/selectivity": 0.0}
"""Of all other columns it is 0.5."""


class World:
    """Users, what each is shown and asked, and the features of every picture: random, and shifted by its prompt."""

    def __init__(self, seed: int, *, users: int = 40, own_prompts: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.users = [f"user-{i:02d}" for i in range(users)]
        self.features: dict[str, FloatArray] = {}
        self.about = 2.0 * self.rng.standard_normal((users if own_prompts else PROMPTS, WIDTH))
        self.asked = {user: self._judgments(i, own_prompts) for i, user in enumerate(self.users)}
        self.shown = {
            user: (self._pictures(i, own_prompts), self._pictures(i, own_prompts)) for i, user in enumerate(self.users)
        }

    def _picture(self, user: int, own_prompts: bool) -> tuple[Picture, int]:
        prompt = user if own_prompts else int(self.rng.integers(PROMPTS))
        picture = Picture(f"picture {len(self.features)}")
        self.features[picture.digest] = self.about[prompt] * own_prompts + self.rng.standard_normal(WIDTH)
        return picture, prompt

    def _judgments(self, user: int, own_prompts: bool) -> tuple[Judgment, ...]:
        answers = self.rng.permutation([True, False] * ITEMS_PER_SIDE)
        drawn = [(*self._picture(user, own_prompts), bool(liked)) for liked in answers]
        # Asked pictures share prompts even where halves do not, or no fold could keep them apart.
        return tuple(
            Judgment(picture, f"prompt {turn if own_prompts else prompt}", liked)
            for turn, (picture, prompt, liked) in enumerate(drawn)
        )

    def _pictures(self, user: int, own_prompts: bool) -> tuple[Picture, ...]:
        return tuple(self._picture(user, own_prompts)[0] for _ in range(2 * HALF_SIZE))

    def features_of(self, pictures: Sequence[Picture]) -> Features:
        return np.stack([self.features[picture.digest] for picture in pictures])

    def seen(self, *, taste: float = 0.0, identity: float = 0.0) -> dict[str, UserStates]:
        """What a method makes of it: a layer from the pictures alone, and one that knows what is planted."""
        found = {}
        turned = [self.rng.standard_normal((WIDTH, WIDTH)) for _ in range(2)]
        direction = np.linspace(-1, 1, WIDTH)
        for user in self.users:
            halves = np.stack([self.features_of(half).mean(0) for half in self.shown[user]])
            looked = self.features_of([judgment.picture for judgment in self.asked[user]])
            answers = np.array([[1.0 if j.liked else -1.0] for j in self.asked[user]])
            both = {"pictures": (halves @ turned[0], looked @ turned[0])}
            who = identity * self.rng.standard_normal(WIDTH)
            both["planted"] = (halves + who, looked @ turned[1] / 3 + taste * answers * direction)
            found[user] = UserStates(
                user,
                self.shown[user],
                {layer: states[0].astype(np.float32) for layer, states in both.items()},
                self.asked[user],
                {layer: states[1].astype(np.float32) for layer, states in both.items()},
            )
        return found

    def columns(self, known: Mapping[str, UserStates]) -> dict[str, FloatArray]:
        evidence = Evidence(None, {}, judged_features=self.features_of, representations=known)
        found = Probing().score(self.users, evidence)
        return {name: np.array([np.nan if v is None else v for v in values]) for name, values in found.items()}

    def estimates(self, known: Mapping[str, UserStates]) -> dict[str, Estimate]:
        """As a summary makes them: one row per user."""
        users, none = np.array(self.users), np.full(len(self.users), "")
        found = {name: Scores(values, users, none) for name, values in self.columns(known).items()}
        return {name: mean_interval(scores) for name, scores in found.items()}


def worth(found: Estimate) -> float:
    assert found.value is not None
    return found.value


def covers(found: Estimate, value: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= value <= found.high


# --------------------------------------------------------------------------------------------------------- worlds


@pytest.mark.slow
def test_where_there_is_no_taste_intervals_hold_chance() -> None:
    """Of 20 worlds at least 18, in every column; layers are chosen, so luck would show."""
    found = [world.estimates(world.seen()) for world in map(World, range(20))]
    for name in Probing().columns():
        chance = CHANCE.get(name, 0.5)
        assert sum(covers(estimates[name], chance) for estimates in found) >= 18, name
        assert abs(np.mean([worth(estimates[name]) for estimates in found]) - chance) < 0.03, name


@pytest.mark.slow
def test_planted_taste_and_identity_are_found() -> None:
    world = World(1)
    found = world.estimates(world.seen(taste=1.0, identity=1.0))
    assert worth(found["probing"]) > 0.85
    assert worth(found["probing/liking-accuracy"]) > 0.75
    assert worth(found["probing/selectivity"]) > 0.2
    assert worth(found["probing/verification"]) > 0.85
    assert worth(found["probing/recall@10"]) > 0.4
    assert max(worth(found["probing/content-floor"]), worth(found["probing/verification-floor"])) < 0.62


def test_where_every_user_has_prompts_of_their_own_the_floor_rises_with_verification() -> None:
    world = World(2, own_prompts=True)
    found = world.estimates(world.seen())
    assert worth(found["probing/verification"]) > 0.9
    assert worth(found["probing/verification-floor"]) > 0.9
    assert worth(found["probing"]) < 0.62, "that prompts tell users apart says nothing of what they like"


@pytest.mark.slow
def test_users_without_states_have_no_value_and_the_others_keep_theirs() -> None:
    world = World(3)
    known = world.seen(taste=1.0)
    first, second = world.users[:2]
    del known[first]
    known[second] = UserStates(second, judgments=known[second].judgments, item_states=known[second].item_states)
    found = world.columns(known)
    assert all(np.isnan(values[0]) for values in found.values())
    assert not np.isnan(found["probing"][1:]).any()
    assert np.isnan(found["probing/verification"][:2]).all()
    assert not np.isnan(found["probing/verification"][2:]).any()


@pytest.mark.slow
def test_too_little_is_refused_with_the_reason() -> None:
    world = World(4, users=12)
    known = world.seen()
    only_asked = world.columns(known)
    assert not np.isnan(only_asked["probing"]).any()
    assert np.isnan(only_asked["probing/verification"]).all(), "12 users fill no two galleries of 10"
    few = {user: known[user] for user in world.users[:3]}
    with pytest.raises(NotMeasurableError, match=r"probing: .*; telling users apart in a gallery of 10 needs 20 users"):
        world.columns(few)
    with pytest.raises(NotMeasurableError, match="no user has states of liked and disliked pictures in one layer"):
        world.columns({})
