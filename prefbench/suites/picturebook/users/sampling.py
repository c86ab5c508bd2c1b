"""Draws tastes from the world's prior."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Bonus, Leaning, Subjects, TasteSpec
from prefbench.suites.picturebook.users.worlds import FIRST, UserKind
from prefbench.suites.picturebook.world.axes import AXIS, OBJECT, SETTING, Axis, Group, group_axes

WEIGHTS: Mapping[Group, float] = dict(FIRST.weights)
SECOND_TASTE: tuple[UserKind, ...] = ("two tastes", "subject-bound", "drifting")
"""Kinds of user that have a second taste."""


def _halves(axis: Axis) -> list[Subjects]:
    """Every half of an axis's values."""
    return [Subjects(axis.name, frozenset(half)) for half in itertools.combinations(range(len(axis)), len(axis) // 2)]


SUBJECTS: tuple[Subjects, ...] = (*(4 * _halves(SETTING)), *_halves(OBJECT)[::40])
"""What a taste can be bound to: each half of the settings, four times over, and some halves of the objects."""
Weights = Mapping[Group, float]
"""Mean weight of each group of axes in the own part of a taste."""


def sample_spec(rng: np.random.Generator, kind: UserKind, weights: Weights = WEIGHTS) -> TasteSpec:
    """A taste of a kind: one or two worded axes, the companion, one or two silent axes; most axes do not count."""
    spec = TasteSpec(kind, sample_leanings(rng, weights))
    if kind in SECOND_TASTE:
        spec = replace(spec, second=sample_leanings(rng, weights))
    if kind == "interacting":
        spec = replace(spec, bonus=sample_bonus(rng, weights))
    if kind == "subject-bound":
        spec = replace(spec, subjects=SUBJECTS[int(rng.integers(len(SUBJECTS)))])
    return spec


_GROUPS = 4
_KEPT = 0.75
_SHIFTED_WEIGHTS: Weights = {"worded": 0.25, "semantic": 0.15, "silent": 0.6}


def sample_shifted_spec(rng: np.random.Generator, kind: UserKind) -> TasteSpec:
    """A taste from another prior: users come in groups that share most leanings, and silent axes weigh most.

    So axes are correlated.
    """
    centre = sample_leanings(np.random.default_rng(int(rng.integers(_GROUPS))), _SHIFTED_WEIGHTS)
    spec = sample_spec(rng, kind, _SHIFTED_WEIGHTS)
    kept = tuple(leaning for leaning in centre if rng.random() < _KEPT)
    replaced = {leaning.axis for leaning in kept}
    own = tuple(leaning for leaning in spec.leanings if leaning.axis not in replaced)
    return replace(spec, leanings=(*kept, *own))


def sample_leanings(rng: np.random.Generator, weights: Weights = WEIGHTS) -> tuple[Leaning, ...]:
    """The leanings of one taste."""
    leanings: list[Leaning] = []
    for group in TASTE_GROUPS:
        axes = group_axes(group)
        count = 1 if len(axes) == 1 else int(rng.integers(1, 3))
        shares = rng.dirichlet(np.full(count, 4.0)) * weights[group] * rng.uniform(0.8, 1.2)
        axis_indices = rng.choice(len(axes), size=count, replace=False)
        leanings += [
            sample_leaning(rng, axes[i], float(weight)) for i, weight in zip(axis_indices, shares, strict=True)
        ]
    return tuple(leanings)


def sample_leaning(rng: np.random.Generator, axis: str, weight: float) -> Leaning:
    """A liking on one axis. Categorical: a favourite and one dislike. Graded: more, less or the middle is best."""
    if AXIS[axis].silent:
        profile = ((-0.6, 0.2, 1.0), (1.0, 0.2, -0.6), (-0.4, 1.0, -0.4))[int(rng.integers(3))]
        return Leaning(axis, tuple(weight * s for s in profile))
    favourite, disliked = rng.choice(len(AXIS[axis]), size=2, replace=False)
    scores = [0.0] * len(AXIS[axis])
    scores[favourite], scores[disliked] = weight, -0.6 * weight
    return Leaning(axis, tuple(scores))


def sample_bonus(rng: np.random.Generator, weights: Weights = WEIGHTS) -> Bonus:
    """A joint liking for a value of one worded axis with a value of another (stripes, but only in blue)."""
    axes = group_axes("worded")
    first, second = rng.choice(len(axes), size=2, replace=False)
    pair = [(axes[i], int(rng.integers(len(AXIS[axes[i]])))) for i in (first, second)]
    return Bonus(pair[0], pair[1], weights["worded"])
