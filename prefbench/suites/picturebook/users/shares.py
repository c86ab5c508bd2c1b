"""What a world's users share: how often they are told right with and without knowing them, and how they judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.population import JudgedScene, SimulatedUser
from prefbench.suites.picturebook.users.quality import severity
from prefbench.suites.picturebook.users.taste import Taste, common_taste
from prefbench.suites.picturebook.world.axes import STYLE_NAMES, IntArray
from prefbench.suites.picturebook.world.defects import DEFECTS
from prefbench.suites.picturebook.world.prompts import Prompt


@dataclass(frozen=True)
class PairAccuracy:
    """Shares of pairs of one prompt in which the liked picture has the higher value, over users.

    Attributes:
        own: by the true taste of who judged.
        impersonal: by the mean of other users, which knows nobody.
        error: standard error of `impersonal`, over users.
        pairs: how many.
    """

    own: float
    impersonal: float
    error: float
    pairs: int


def pair_accuracy(users: Sequence[SimulatedUser], others: Sequence[SimulatedUser]) -> PairAccuracy:
    """On the pairs that scorers see of the users; `others` are whose mean utility is taken."""
    judged = [user.judged("scorer") for user in users]
    own = [
        true_utilities(u, pairs.liked) > true_utilities(u, pairs.disliked)
        for u, pairs in zip(users, judged, strict=True)
    ]
    liked, disliked = (
        _mean_utilities(others, [entry for side in sides for entry in side])
        for sides in ([pairs.liked for pairs in judged], [pairs.disliked for pairs in judged])
    )
    ends = np.cumsum([len(pairs.liked) for pairs in judged])[:-1]
    by_user = np.array([right.mean() for right in np.split(liked > disliked, ends)])
    error = float(by_user.std(ddof=1) / np.sqrt(len(by_user)))
    return PairAccuracy(float(np.mean(own)), float(by_user.mean()), error, sum(map(len, own)))


def true_utilities(user: SimulatedUser, entries: Sequence[JudgedScene]) -> FloatArray:
    """True utilities (N,) of judged scenes to the user, defects included."""
    tastes = [user.taste_on(entry.scene.content) for entry in entries]
    styles = _styles(entries)
    of_styles = np.array([taste.of_styles(styles[i : i + 1])[0] for i, taste in enumerate(tastes)])
    return np.asarray(of_styles - user.care * severity(defect_levels(entries)))


def _mean_utilities(users: Sequence[SimulatedUser], entries: Sequence[JudgedScene]) -> FloatArray:
    styles = _styles(entries)
    tastes = np.mean([user.taste.of_styles(styles) for user in users], axis=0)
    return np.asarray(tastes - np.mean([user.care for user in users]) * severity(defect_levels(entries)))


def _styles(entries: Sequence[JudgedScene]) -> IntArray:
    return np.array([entry.scene.style for entry in entries])


def defect_levels(entries: Sequence[JudgedScene]) -> IntArray:
    """Levels (N, defects) of what judged scenes show."""
    return np.array([entry.defects or (0,) * len(DEFECTS) for entry in entries])


def crowd_gain(users: Sequence[SimulatedUser]) -> float:
    """How far the crowd's best style goes from the prior's mean to each user's best style, over the users' cases."""
    way, gone = 0.0, 0.0
    for user in users:
        for prompt in user.prompts():
            taste, crowd = user.taste_on(prompt.content), common_taste().best(prompt.fixed)
            prior = _mean_with(taste, prompt)
            best = dict.fromkeys(STYLE_NAMES, 0) | dict(prompt.fixed) | dict(taste.best(prompt.fixed))
            way += _of(taste, best) - prior
            gone += _of(taste, crowd) - prior
    return gone / way


def _of(taste: Taste, values: Mapping[str, int]) -> float:
    return float(taste.of_styles(np.array([[values[name] for name in STYLE_NAMES]]))[0])


def _mean_with(taste: Taste, prompt: Prompt) -> float:
    """Mean utility over the world's prior, with what the prompt names: 0 where it names nothing that counts."""
    return float(sum(taste.marginal(name)[value] for name, value in prompt.fixed.items() if name in taste.counted))


def judging(users: Sequence[SimulatedUser]) -> str:
    """How users judge, and how many of their pictures are spoilt."""
    forms = Counter(user.form for user in users)
    entries = [
        e
        for user in users
        for side in (user.judged("method"), user.judged("scorer"))
        for e in side.liked + side.disliked
    ]
    spoilt = np.mean([bool(entry.defects) for entry in entries])
    shares = ", ".join(f"{form} {n / len(users):.2f}" for form, n in forms.most_common())
    return f"{shares} of the users; {spoilt:.3f} of {len(entries)} judged pictures with a defect"
