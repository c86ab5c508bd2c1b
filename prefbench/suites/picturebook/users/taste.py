"""What simulated users like: an exact utility over the style axes, and the kinds of user.

A taste is drawn as a small `TasteSpec` (which axes count, how much, which values) and evaluated as a `Taste`: a dense
table over the few axes of the own part, and the common part on the others, normalised so that 0 is the mean over the
world's prior and 1 the best style.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.worlds import UserKind
from prefbench.suites.picturebook.world.axes import (
    AXIS,
    NAMEABLE,
    OBJECT,
    STYLE_NAMES,
    Content,
    Group,
    IntArray,
    group_axes,
)

TASTE_GROUPS: tuple[Group, ...] = ("worded", "semantic", "silent")
SPOKEN_OF = 0.03
"""How far a value must move the mean utility for users to mention it."""


@dataclass(frozen=True)
class Leaning:
    """How one axis counts: a score for each value, the weight included."""

    axis: str
    scores: tuple[float, ...]

    def scaled(self, factor: float) -> Leaning:
        """The same leaning, so many times as heavy."""
        return Leaning(self.axis, tuple(factor * score for score in self.scores))


@dataclass(frozen=True)
class Bonus:
    """A liking for one value of one axis only together with one value of another."""

    first: tuple[str, int]
    second: tuple[str, int]
    weight: float


@dataclass(frozen=True)
class Subjects:
    """Half of the objects or half of the settings."""

    axis: str
    values: frozenset[int]

    def __contains__(self, content: Content) -> bool:
        return (content.object if self.axis == OBJECT.name else content.setting) in self.values


@dataclass(frozen=True)
class TasteSpec:
    """The structure of a taste: additive leanings, perhaps a second taste, perhaps a bonus.

    What the second taste is follows from the kind: one beside the first (two tastes), that for some subjects
    (subject-bound), or the one that the user had before (drifting).
    """

    kind: UserKind
    leanings: tuple[Leaning, ...]
    second: tuple[Leaning, ...] = ()
    bonus: Bonus | None = None
    subjects: Subjects | None = field(default=None, repr=False)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that the own part of the taste stands on, in the world's order."""
        beside = self.second if self.kind == "two tastes" else ()
        used = {leaning.axis for leaning in (*self.leanings, *beside)}
        if self.bonus is not None:
            used |= {self.bonus.first[0], self.bonus.second[0]}
        return tuple(name for name in STYLE_NAMES if name in used)


@dataclass(frozen=True)
class Taste:
    """Utility: a table over the axes of the own part (values of axis 1, values of axis 2, ...), and the rest of it."""

    axes: tuple[str, ...]
    table: FloatArray
    common: tuple[Leaning, ...] = ()
    """What is added for the values of further axes."""

    @classmethod
    def of(cls, spec: TasteSpec, *, crowd: float = 0.0) -> Taste:
        """The normalised taste of a spec, with the common taste of all users in a share of `crowd`."""
        axes = spec.axes
        table = _additive(spec.leanings, axes)
        if spec.kind == "two tastes":
            table = np.maximum(table, _additive(spec.second, axes))
        if spec.bonus is not None:
            (first, i), (second, j) = spec.bonus.first, spec.bonus.second
            table = table + spec.bonus.weight * _indicator(first, i, axes) * _indicator(second, j, axes)
        own = cls(axes, table).normalised()
        return own if crowd == 0 else own.with_common(crowd)

    @classmethod
    def other(cls, spec: TasteSpec, *, crowd: float = 0.0) -> Taste:
        """The taste for the spec's subjects, or the one before, normalised for itself."""
        return cls.of(TasteSpec("consistent", spec.second), crowd=crowd)

    def with_common(self, share: float) -> Taste:
        """This taste and the common one of all users, which is `share` of both, normalised again."""
        common = common_taste()
        own = tuple(leaning for leaning in common.common if leaning.axis in self.axes)
        beside = tuple(leaning.scaled(share) for leaning in common.common if leaning.axis not in self.axes)
        table = (1 - share) * self.table + share * _additive(own, self.axes)
        return Taste(self.axes, table, beside).normalised()

    @property
    def counted(self) -> tuple[str, ...]:
        """The axes that count, in the world's order."""
        return tuple(name for name in STYLE_NAMES if name in self.axes or name in self._beside)

    @functools.cached_property
    def _beside(self) -> Mapping[str, FloatArray]:
        return {leaning.axis: np.array(leaning.scores) for leaning in self.common}

    def normalised(self) -> Taste:
        """The same order of styles with prior mean 0 and maximum 1. Raises `ValueError` where all styles are equal."""
        beside = self._beside.items()
        mean = _contract(self.table, [np.array(AXIS[name].prior) for name in self.axes])
        mean += float(sum(scores @ np.array(AXIS[name].prior) for name, scores in beside))
        top = float(self.table.max()) + float(sum(scores.max() for _, scores in beside)) - mean
        if top <= 1e-12:
            raise ValueError("a taste for which every style is equal cannot be normalised")
        return Taste(self.axes, (self.table - mean) / top, tuple(one.scaled(1 / top) for one in self.common))

    def of_styles(self, styles: IntArray) -> FloatArray:
        """Utility (N,) of styles (N, style axes)."""
        columns = styles.T
        values: FloatArray = self.table[tuple(columns[place] for place in self._places)]
        for place, scores in self._places_beside:
            values = values + scores.take(columns[place])
        return values

    @functools.cached_property
    def _places(self) -> Sequence[int]:
        return [STYLE_NAMES.index(name) for name in self.axes]

    @functools.cached_property
    def _places_beside(self) -> Sequence[tuple[int, FloatArray]]:
        return [(STYLE_NAMES.index(name), scores) for name, scores in self._beside.items()]

    def of_probabilities(self, probabilities: Mapping[str, FloatArray]) -> FloatArray:
        """Expected utility (N,) under independent probabilities (N, values) for each axis."""
        letters = "abcdefghi"[: len(self.axes)]
        operands = [probabilities[name] for name in self.axes]
        spec = f"{letters}," + ",".join(f"z{letter}" for letter in letters) + "->z"
        values: FloatArray
        if self.axes:
            values = np.einsum(spec, self.table, *operands, optimize=True)
        else:  # einsum cannot make rows out of no operands
            values = np.full(len(next(iter(probabilities.values()))), float(self.table))
        for name, scores in self._beside.items():
            values = values + probabilities[name] @ scores
        return values

    def group(self, group: Group) -> Taste:
        """The taste for one group of axes: the mean over the prior of the others, normalised for itself."""
        inside = [name for name in self.axes if name in group_axes(group)]
        table = self.table
        for position in reversed(range(len(self.axes))):
            if self.axes[position] not in inside:
                table = np.tensordot(table, np.array(AXIS[self.axes[position]].prior), axes=(position, 0))
        beside = tuple(leaning for leaning in self.common if leaning.axis in group_axes(group))
        return Taste(tuple(inside), table, beside).normalised()

    def marginal(self, axis: str) -> FloatArray:
        """Mean utility (values,) of each value of one axis that counts, over the prior of the others."""
        if axis in self._beside:
            scores = self._beside[axis]
            return np.asarray(scores - scores @ np.array(AXIS[axis].prior))
        table = self.table
        for position in reversed(range(len(self.axes))):
            if self.axes[position] != axis:
                table = np.tensordot(table, np.array(AXIS[self.axes[position]].prior), axes=(position, 0))
        return table + sum(float(s @ np.array(AXIS[name].prior)) for name, s in self._beside.items())

    def words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Phrases for the values liked best and least on the axes that count and have words; in the world's order.

        Values that move the mean utility by less than `SPOKEN_OF` go unmentioned.
        """
        likes, dislikes = [], []
        for name in (axis for axis in NAMEABLE if axis in self.counted):
            marginal, phrases = self.marginal(name), AXIS[name].phrases
            likes += [phrases[int(marginal.argmax())]] if marginal.max() > SPOKEN_OF else []
            dislikes += [phrases[int(marginal.argmin())]] if marginal.min() < -SPOKEN_OF else []
        return tuple(map(str, likes)), tuple(map(str, dislikes))

    def best(self, fixed: Mapping[str, int] | None = None) -> Mapping[str, int]:
        """The values of the best style on the axes that count, of the styles that have the values fixed."""
        fixed = fixed or {}
        table = self.table[tuple(_kept(fixed.get(name)) for name in self.axes)]
        flat = np.unravel_index(int(table.argmax()), table.shape)
        best = dict(zip(self.axes, map(int, flat), strict=True))
        best |= {name: int(scores.argmax()) for name, scores in self._beside.items()}
        return {name: fixed.get(name, best[name]) for name in self.counted}


def _kept(value: int | None) -> slice:
    return slice(None) if value is None else slice(value, value + 1)


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


_COMMON = (
    Leaning("palette", (0.3, 1.0, 0.2, 0.1, -1.0, -0.4)),
    Leaning("background", (0.5, -0.1, 0.3, -0.8)),
    Leaning("line", (0.0, 0.4, -0.3)),
    Leaning("fill", (-0.4, -0.2, 0.5)),
    Leaning("composition", (0.4, 0.1, -0.6)),
    Leaning("companion", (-0.3, 0.3, 0.5, 0.1, 0.1)),
    Leaning("temperature", (-0.5, 0.0, 0.5)),
    Leaning("vignette", (0.3, 0.1, -0.3)),
    Leaning("tilt", (-0.2, 0.3, -0.2)),
)
"""What all users like before anything of their own, in the order of each axis's values."""


@functools.cache
def common_taste() -> Taste:
    """The taste that all users have in common, normalised; all of it is in `common`."""
    return Taste((), np.zeros(()), _COMMON).normalised()
