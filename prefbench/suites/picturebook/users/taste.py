"""What simulated users like: an exact utility over the style axes, and the five kinds of user.

A taste is drawn as a small `TasteSpec` (which axes count, how much, which values) and evaluated as a `Taste`: a dense
table over the few axes that count, normalised so that 0 is the mean over the world's prior and 1 the best style.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.world.axes import AXIS, NAMEABLE, STYLE_NAMES, Group, IntArray, group_axes

UserKind = Literal["consistent", "noisy", "two tastes", "interacting", "sparse"]

KINDS: Mapping[UserKind, float] = {
    "consistent": 0.5,
    "noisy": 0.15,
    "two tastes": 0.1,
    "interacting": 0.15,
    "sparse": 0.1,
}
"""Shares of the kinds of user in every split."""
SHARPNESS: Mapping[UserKind, float] = {
    "consistent": 12.0,
    "noisy": 4.0,
    "two tastes": 12.0,
    "interacting": 12.0,
    "sparse": 12.0,
}
"""Inverse temperature of the Bradley-Terry choices, per unit of normalised utility."""
TASTE_GROUPS: tuple[Group, ...] = ("worded", "semantic", "silent")
SPOKEN_OF = 0.03
"""How far a value must move the mean utility for users to mention it."""
GROUP_WEIGHT: Mapping[Group, float] = {"worded": 0.42, "semantic": 0.23, "silent": 0.35}


@dataclass(frozen=True)
class Leaning:
    """How one axis counts: a score for each value, the weight included."""

    axis: str
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Bonus:
    """A liking for one value of one axis only together with one value of another."""

    first: tuple[str, int]
    second: tuple[str, int]
    weight: float


@dataclass(frozen=True)
class TasteSpec:
    """The structure of a taste: additive leanings, perhaps a second taste beside the first, perhaps a bonus."""

    kind: UserKind
    leanings: tuple[Leaning, ...]
    second: tuple[Leaning, ...] = ()
    bonus: Bonus | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that count, in the world's order."""
        used = {leaning.axis for leaning in (*self.leanings, *self.second)}
        if self.bonus is not None:
            used |= {self.bonus.first[0], self.bonus.second[0]}
        return tuple(name for name in STYLE_NAMES if name in used)


@dataclass(frozen=True)
class Taste:
    """Utility as a table over the axes that count; shape (values of axis 1, values of axis 2, ...)."""

    axes: tuple[str, ...]
    table: FloatArray

    @classmethod
    def of(cls, spec: TasteSpec) -> Taste:
        """The normalised table of a spec."""
        axes = spec.axes
        table = _additive(spec.leanings, axes)
        if spec.second:
            table = np.maximum(table, _additive(spec.second, axes))
        if spec.bonus is not None:
            (first, i), (second, j) = spec.bonus.first, spec.bonus.second
            table = table + spec.bonus.weight * _indicator(first, i, axes) * _indicator(second, j, axes)
        return cls(axes, table).normalised()

    def normalised(self) -> Taste:
        """The same order of styles with prior mean 0 and maximum 1. Raises `ValueError` where all styles are equal."""
        mean = _contract(self.table, [np.array(AXIS[name].prior) for name in self.axes])
        top = float(self.table.max()) - mean
        if top <= 1e-12:
            raise ValueError("a taste for which every style is equal cannot be normalised")
        return Taste(self.axes, (self.table - mean) / top)

    def of_styles(self, styles: IntArray) -> FloatArray:
        """Utility (N,) of styles (N, style axes)."""
        columns = tuple(styles[:, STYLE_NAMES.index(name)] for name in self.axes)
        values: FloatArray = self.table[columns]
        return values

    def of_probabilities(self, probabilities: Mapping[str, FloatArray]) -> FloatArray:
        """Expected utility (N,) under independent probabilities (N, values) for each axis."""
        letters = "abcdefghi"[: len(self.axes)]
        operands = [probabilities[name] for name in self.axes]
        spec = f"{letters}," + ",".join(f"z{letter}" for letter in letters) + "->z"
        values: FloatArray = np.einsum(spec, self.table, *operands, optimize=True)
        return values

    def group(self, group: Group) -> Taste:
        """The taste for one group of axes: the mean over the prior of the others, normalised for itself."""
        inside = [name for name in self.axes if name in group_axes(group)]
        table = self.table
        for position in reversed(range(len(self.axes))):
            if self.axes[position] not in inside:
                table = np.tensordot(table, np.array(AXIS[self.axes[position]].prior), axes=(position, 0))
        return Taste(tuple(inside), table).normalised()

    def marginal(self, axis: str) -> FloatArray:
        """Mean utility (values,) of each value of one axis that counts, over the prior of the others."""
        table = self.table
        for position in reversed(range(len(self.axes))):
            if self.axes[position] != axis:
                table = np.tensordot(table, np.array(AXIS[self.axes[position]].prior), axes=(position, 0))
        return table

    def words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Phrases for the values liked best and least on the axes that count and have words; in the world's order.

        Values that move the mean utility by less than `SPOKEN_OF` go unmentioned.
        """
        likes, dislikes = [], []
        for name in (axis for axis in NAMEABLE if axis in self.axes):
            marginal, phrases = self.marginal(name), AXIS[name].phrases
            likes += [phrases[int(marginal.argmax())]] if marginal.max() > SPOKEN_OF else []
            dislikes += [phrases[int(marginal.argmin())]] if marginal.min() < -SPOKEN_OF else []
        return tuple(map(str, likes)), tuple(map(str, dislikes))

    def best(self) -> Mapping[str, int]:
        """The values of the best style on the axes that count."""
        flat = np.unravel_index(int(self.table.argmax()), self.table.shape)
        return {name: int(i) for name, i in zip(self.axes, flat, strict=True)}


def _contract(table: FloatArray, weights: Sequence[FloatArray]) -> float:
    for weight in reversed(weights):
        table = table @ weight
    return float(table)


def _shape(position: int, axes: Sequence[str]) -> tuple[int, ...]:
    return tuple(len(AXIS[name]) if i == position else 1 for i, name in enumerate(axes))


def _additive(leanings: Sequence[Leaning], axes: Sequence[str]) -> FloatArray:
    total = np.zeros(tuple(len(AXIS[name]) for name in axes))
    for leaning in leanings:
        total = total + np.array(leaning.scores).reshape(_shape(axes.index(leaning.axis), axes))
    return total


@functools.lru_cache(maxsize=4096)
def _indicator(axis: str, value: int, axes: tuple[str, ...]) -> FloatArray:
    flags = np.zeros(len(AXIS[axis]))
    flags[value] = 1.0
    return flags.reshape(_shape(axes.index(axis), axes))


def sample_spec(rng: np.random.Generator, kind: UserKind) -> TasteSpec:
    """A taste of a kind: one or two worded axes, the companion, one or two silent axes; most axes do not count."""
    spec = TasteSpec(kind, _sample_leanings(rng))
    if kind == "two tastes":
        spec = replace(spec, second=_sample_leanings(rng))
    if kind == "interacting":
        spec = replace(spec, bonus=sample_bonus(rng))
    return spec


def _sample_leanings(rng: np.random.Generator) -> tuple[Leaning, ...]:
    leanings: list[Leaning] = []
    for group in TASTE_GROUPS:
        axes = group_axes(group)
        count = 1 if len(axes) == 1 else int(rng.integers(1, 3))
        shares = rng.dirichlet(np.full(count, 4.0)) * GROUP_WEIGHT[group] * rng.uniform(0.8, 1.2)
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


def sample_bonus(rng: np.random.Generator) -> Bonus:
    """A joint liking for a value of one worded axis with a value of another (stripes, but only in blue)."""
    axes = group_axes("worded")
    first, second = rng.choice(len(axes), size=2, replace=False)
    pair = [(axes[i], int(rng.integers(len(AXIS[axes[i]])))) for i in (first, second)]
    return Bonus(pair[0], pair[1], GROUP_WEIGHT["worded"])
