"""Many tastes at once, as rows of arrays: inference evaluates thousands of tastes in a millisecond.

`taste.py` says what a taste is; here the same tastes stand as scores over *columns*, the values of all style axes one
axis after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.sampling import SECOND_TASTE, SUBJECTS
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Bonus, Leaning, TasteSpec, common_taste
from prefbench.suites.picturebook.users.worlds import FIRST, UserKind, World
from prefbench.suites.picturebook.world.axes import (
    CONTENTS,
    STYLE,
    STYLE_NAMES,
    Content,
    IntArray,
    group_axes,
    sample_styles,
)

Flags = NDArray[np.bool_]

SIZES = np.array([len(axis) for axis in STYLE])
"""How many columns each axis has."""
COLUMNS = int(SIZES.sum())
STARTS = np.cumsum(SIZES) - SIZES
"""The first column of each axis."""
AXIS_OF = np.repeat(np.arange(len(STYLE)), SIZES)
"""The axis of each column."""
GROUP_OF = np.array([[name in group_axes(group) for group in TASTE_GROUPS].index(True) for name in STYLE_NAMES])
"""The group of each axis, an index into `TASTE_GROUPS`."""
_PRIOR = np.concatenate([axis.prior for axis in STYLE])


@cache
def row_kinds(world: World) -> tuple[UserKind, ...]:
    """Kinds that rows can have. Sparse users are left out: they choose as consistent ones do and only show less."""
    return tuple(kind for kind, _ in world.kinds if kind != "sparse")


class Sums(NamedTuple):
    """The normalised utilities of N tastes: of the columns that a picture has, scores are added up, and a constant."""

    scores: FloatArray
    """(N, 2, columns) of the first and the second taste; of two tastes the greater sum counts."""
    constant: FloatArray
    """(N, 2)"""
    bonus: FloatArray
    """(N,), for both columns of the bonus together; 0 where none counts."""


@dataclass(frozen=True)
class TasteRows:
    """N tastes of one world. Every row has a second taste, a bonus and subjects; its kind says whether they count."""

    kind: IntArray
    """(N,), an index into `row_kinds`."""
    leanings: FloatArray
    """Scores (N, 2, columns) of the first and the second taste."""
    bonus: IntArray
    """(N, 2), the two columns of the bonus."""
    weight: FloatArray
    """(N,), of the bonus."""
    subjects: IntArray
    """(N,), an index into `SUBJECTS`: what the second taste is bound to."""
    care: FloatArray
    """(N,), what a strong defect costs."""
    world: World = FIRST

    def __len__(self) -> int:
        return len(self.kind)

    def is_kind(self, kind: UserKind) -> Flags:
        """(N,), which rows are of a kind; none where the world does not have it."""
        kinds = row_kinds(self.world)
        return np.asarray(self.kind == (kinds.index(kind) if kind in kinds else -1))

    @property
    def second_counts(self) -> Flags:
        """(N,), where the second taste counts for anything."""
        return np.asarray(np.logical_or.reduce([self.is_kind(kind) for kind in SECOND_TASTE]))

    @property
    def second_is_apart(self) -> Flags:
        """(N,), where the second taste judges some pictures instead of the first."""
        return self.is_kind("subject-bound") | self.is_kind("drifting")

    @property
    def sharpness(self) -> FloatArray:
        return np.array([self.world.sharpness(kind) for kind in row_kinds(self.world)])[self.kind]

    def rows(self, indices: IntArray) -> TasteRows:
        """Some of the rows."""
        return TasteRows(**{name: value[indices] for name, value in self._arrays().items()}, world=self.world)

    def replaced(self, other: TasteRows, where: Flags) -> TasteRows:
        """These tastes, with the rows `where` taken from `other`."""
        theirs = other._arrays()
        mixed = {
            name: np.where(where.reshape(-1, *[1] * (value.ndim - 1)), theirs[name], value)
            for name, value in self._arrays().items()
        }
        return TasteRows(**mixed, world=self.world)

    @classmethod
    def joined(cls, parts: Sequence[TasteRows]) -> TasteRows:
        """The rows of all parts, which are of one world."""
        arrays = [part._arrays() for part in parts]
        return cls(**{name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}, world=parts[0].world)

    def _arrays(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "world"}

    def spec(self, row: int) -> TasteSpec:
        """One row as `taste.py` writes it."""
        first, second = (_leanings(scores) for scores in self.leanings[row])
        (a, b), weight = self.bonus[row], float(self.weight[row])
        kind = row_kinds(self.world)[self.kind[row]]
        return TasteSpec(
            kind,
            first,
            second if kind in SECOND_TASTE else (),
            Bonus(_value(a), _value(b), weight) if kind == "interacting" else None,
            SUBJECTS[self.subjects[row]] if kind == "subject-bound" else None,
        )

    def share_of_first(self, contents: Sequence[Content], present: FloatArray) -> FloatArray:
        """How much the first taste counts (N, J) in judgments on contents, at shares of the present taste (J,).

        The second one counts for the rest: that of the subjects, or the former one.
        """
        bound = _membership()[self.subjects][:, [_CONTENT_INDEX[content] for content in contents]]
        share = np.where(self.is_kind("subject-bound")[:, None] & bound, 0.0, 1.0)
        return np.where(self.is_kind("drifting")[:, None], present, share)

    def utilities(self, columns: FloatArray) -> FloatArray:
        """Normalised utilities (N, 2, P) of flawless pictures by the first and the second taste.

        (N, 1, P) where no row has a second one apart; in the first world always, and there up to a constant per row,
        for speed.

        Args:
            columns: the pictures as `one_hot`, (columns, P).
        """
        if self.world == FIRST:
            return self._own(columns)
        sums = self.sums()
        apart, two = self.second_is_apart.any(), np.flatnonzero(self.is_kind("two tastes"))
        joint = np.flatnonzero(sums.bonus)
        utilities = (sums.scores if apart else sums.scores[:, :1]) @ columns
        utilities[two, 0] = np.maximum(utilities[two, 0], sums.scores[two, 1] @ columns)
        utilities[joint, 0] += sums.bonus[joint, None] * columns[self.bonus[joint]].prod(axis=1)
        return np.asarray(utilities + sums.constant[:, : utilities.shape[1], None])

    def _own(self, columns: FloatArray) -> FloatArray:
        """What the own part is worth, (N, 1, P), up to a constant per row."""
        both = self.leanings @ columns
        raw = np.where(self.is_kind("two tastes")[:, None], both.max(axis=1), both[:, 0])
        joint = self.is_kind("interacting")
        raw[joint] += self.weight[joint, None] * columns[self.bonus[joint]].prod(axis=1)
        spans, _ = self._spans()
        return np.asarray((raw / spans[:, :1])[:, None])

    def sums(self) -> Sums:
        """Own and common part together, normalised, as sums over columns."""
        spans, means = self._spans()
        tops, share = self._tops(spans, means), self._shares()[:, None]
        common, table = _common_columns()
        constant = ((share * table) - (1 - share) * means / spans) / tops
        two = self.is_kind("two tastes")
        spans[two, 1], tops[two, 1] = spans[two, 0], tops[two, 0]  # both on one scale: the better one counts
        scores = ((1 - share) / spans / tops)[..., None] * self.leanings + (share / tops)[..., None] * common
        bonus = np.where(self.is_kind("interacting"), (1 - share[:, 0]) * self.weight / spans[:, 0] / tops[:, 0], 0)
        return Sums(scores, constant, bonus)

    def _shares(self) -> FloatArray:
        return np.array([self.world.share(kind) for kind in row_kinds(self.world)])[self.kind]

    def _spans(self) -> tuple[FloatArray, FloatArray]:
        """How far the best style of the own part lies above the prior's mean, (N, 2), and that mean, (N, 2)."""
        tops = np.maximum.reduceat(self.leanings, STARTS, axis=2)
        means, best = self.leanings @ _PRIOR, tops.sum(axis=2)
        spans = np.asarray(best - means)
        two, joint = np.flatnonzero(self.is_kind("two tastes")), np.flatnonzero(self.is_kind("interacting"))
        if len(two):  # E max(a, b) = (E a + E b + E |a - b|) / 2; only the last term needs a sample
            scores = self.leanings[two]
            gaps = np.abs((scores[:, 0] - scores[:, 1]) @ _prior_sample()).mean(axis=1)
            mean = (means[two].sum(axis=1) + gaps) / 2
            spans[two, 0] = best[two].max(axis=1) - mean
            means[two, 0] = mean
        if len(joint):  # the best style takes the bonus where that costs less than it brings
            pair, weight = self.bonus[joint], self.weight[joint]
            cost = (tops[joint[:, None], 0, AXIS_OF[pair]] - self.leanings[joint[:, None], 0, pair]).sum(axis=1)
            expected = weight * _PRIOR[pair].prod(axis=1)
            spans[joint, 0] += np.maximum(0, weight - cost) - expected
            means[joint, 0] += expected
        return spans, np.asarray(means)

    def _tops(self, spans: FloatArray, means: FloatArray) -> FloatArray:
        """The utility (N, 2) of the best style of own and common part together, before normalisation."""
        share = self._shares()[:, None]
        scores, constant = _common_columns()
        scale = spans.copy()
        two, joint = self.is_kind("two tastes"), np.flatnonzero(self.is_kind("interacting"))
        scale[two, 1] = spans[two, 0]
        mixed = ((1 - share) / scale)[..., None] * self.leanings + share[..., None] * scores
        tops = np.maximum.reduceat(mixed, STARTS, axis=2)
        best = np.asarray(tops.sum(axis=2))
        best[two, 0] = best[two].max(axis=1)
        if len(joint):
            pair = self.bonus[joint]
            gain = (1 - share[joint, 0]) * self.weight[joint] / spans[joint, 0]
            cost = (tops[joint[:, None], 0, AXIS_OF[pair]] - mixed[joint[:, None], 0, pair]).sum(axis=1)
            best[joint, 0] += np.maximum(0, gain - cost)
        return np.asarray(best - (1 - share) * means / spans + share * constant)


def one_hot(styles: IntArray) -> FloatArray:
    """Styles (P, axes) as columns, (columns, P)."""
    hot = np.zeros((COLUMNS, len(styles)))
    hot[(styles + STARTS).T, np.arange(len(styles))] = 1.0
    return hot


@cache
def _prior_sample() -> FloatArray:
    return one_hot(sample_styles(np.random.default_rng(0), 512))


@cache
def _common_columns() -> tuple[FloatArray, float]:
    """The common taste as scores (columns,), and what is added to them."""
    common = common_taste()
    return scores_of(common.common), float(common.table)


_CONTENT_INDEX = {content: i for i, content in enumerate(CONTENTS)}


@cache
def _membership() -> Flags:
    """(subjects, contents), which contents belong to what a taste can be bound to."""
    return np.array([[content in subjects for content in CONTENTS] for subjects in SUBJECTS])


def column_of(axis: str, value: int) -> int:
    return int(STARTS[STYLE_NAMES.index(axis)]) + value


def _value(column: int) -> tuple[str, int]:
    axis = AXIS_OF[column]
    return STYLE_NAMES[axis], int(column - STARTS[axis])


def scores_of(leanings: Sequence[Leaning]) -> FloatArray:
    scores = np.zeros(COLUMNS)
    for leaning in leanings:
        start = column_of(leaning.axis, 0)
        scores[start : start + len(leaning.scores)] = leaning.scores
    return scores


def _leanings(scores: FloatArray) -> tuple[Leaning, ...]:
    parts = zip(STYLE_NAMES, np.split(scores, STARTS[1:]), strict=True)
    return tuple(Leaning(name, tuple(part.tolist())) for name, part in parts if part.any())
