"""Many tastes at once, as rows of arrays: inference evaluates thousands of tastes in a millisecond.

`taste.py` says what a taste is; here the same tastes stand as scores over *columns*, the values of all style axes one
axis after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.sampling import sample_leaning, sample_spec
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Bonus, Leaning, TasteSpec
from prefbench.suites.picturebook.users.worlds import FIRST, SHARPNESS, UserKind
from prefbench.suites.picturebook.world.axes import STYLE, STYLE_NAMES, IntArray, group_axes, sample_styles

Flags = NDArray[np.bool_]

ROW_KINDS: tuple[UserKind, ...] = tuple(kind for kind, _ in FIRST.kinds if kind != "sparse")
"""Sparse users are left out: they choose as consistent ones do and only show less."""
_SIZES = np.array([len(axis) for axis in STYLE])
COLUMNS = int(_SIZES.sum())
STARTS = np.cumsum(_SIZES) - _SIZES
"""The first column of each axis."""
AXIS_OF = np.repeat(np.arange(len(STYLE)), _SIZES)
"""The axis of each column."""
GROUP_OF = np.array([[name in group_axes(group) for group in TASTE_GROUPS].index(True) for name in STYLE_NAMES])
"""The group of each axis, an index into `TASTE_GROUPS`."""
_PRIOR = np.concatenate([axis.prior for axis in STYLE])
_SHARPNESS = np.array([SHARPNESS[kind] for kind in ROW_KINDS])


@dataclass(frozen=True)
class TasteRows:
    """N tastes. Every row has a second taste and a bonus; its kind says whether they count."""

    kind: IntArray
    """(N,), an index into `ROW_KINDS`."""
    leanings: FloatArray
    """Scores (N, 2, columns) of the first and the second taste."""
    bonus: IntArray
    """(N, 2), the two columns of the bonus."""
    weight: FloatArray
    """(N,), of the bonus."""

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def two(self) -> Flags:
        """(N,), where the second taste counts."""
        return np.asarray(self.kind == ROW_KINDS.index("two tastes"))

    @property
    def interacting(self) -> Flags:
        """(N,), where the bonus counts."""
        return np.asarray(self.kind == ROW_KINDS.index("interacting"))

    @property
    def sharpness(self) -> FloatArray:
        return np.asarray(_SHARPNESS[self.kind])

    def rows(self, indices: IntArray) -> TasteRows:
        return TasteRows(self.kind[indices], self.leanings[indices], self.bonus[indices], self.weight[indices])

    def replaced(self, other: TasteRows, where: Flags) -> TasteRows:
        """These tastes, with the rows `where` taken from `other`."""
        return TasteRows(
            np.where(where, other.kind, self.kind),
            np.where(where[:, None, None], other.leanings, self.leanings),
            np.where(where[:, None], other.bonus, self.bonus),
            np.where(where, other.weight, self.weight),
        )

    def spec(self, row: int) -> TasteSpec:
        """One row as `taste.py` writes it."""
        first, second = (_leanings(scores) for scores in self.leanings[row])
        (a, b), weight = self.bonus[row], float(self.weight[row])
        return TasteSpec(
            ROW_KINDS[self.kind[row]],
            first,
            second if self.two[row] else (),
            Bonus(_value(a), _value(b), weight) if self.interacting[row] else None,
        )

    def utilities(self, columns: FloatArray) -> FloatArray:
        """Normalised utilities (N, P) of pictures as `one_hot` (columns, P), up to a constant per row."""
        both = self.leanings @ columns
        raw = np.where(self.two[:, None], both.max(axis=1), both[:, 0])
        joint = self.interacting
        raw[joint] += self.weight[joint, None] * columns[self.bonus[joint]].prod(axis=1)
        return np.asarray(raw / self._spans()[:, None])

    def _spans(self) -> FloatArray:
        """How far the best style lies above the prior's mean before normalisation, (N,)."""
        tops = np.maximum.reduceat(self.leanings, STARTS, axis=2)
        means, best = self.leanings @ _PRIOR, tops.sum(axis=2)
        spans = np.asarray(best[:, 0] - means[:, 0])
        two, joint = np.flatnonzero(self.two), np.flatnonzero(self.interacting)
        if len(two):  # E max(a, b) = (E a + E b + E |a - b|) / 2; only the last term needs a sample
            scores = self.leanings[two]
            gaps = np.abs((scores[:, 0] - scores[:, 1]) @ _prior_sample()).mean(axis=1)
            spans[two] = best[two].max(axis=1) - (means[two].sum(axis=1) + gaps) / 2
        if len(joint):  # the best style takes the bonus where that costs less than it brings
            pair, weight = self.bonus[joint], self.weight[joint]
            cost = (tops[joint[:, None], 0, AXIS_OF[pair]] - self.leanings[joint[:, None], 0, pair]).sum(axis=1)
            spans[joint] += np.maximum(0, weight - cost) - weight * _PRIOR[pair].prod(axis=1)
        return spans


def one_hot(styles: IntArray) -> FloatArray:
    """Styles (P, axes) as columns, (columns, P)."""
    hot = np.zeros((COLUMNS, len(styles)))
    hot[(styles + STARTS).T, np.arange(len(styles))] = 1.0
    return hot


def sample_rows(rng: np.random.Generator, n: int) -> TasteRows:
    """Tastes drawn from the world's prior."""
    specs = [sample_spec(rng, "interacting") for _ in range(n)]
    shares = np.array([dict(FIRST.kinds)[kind] for kind in ROW_KINDS])
    first = np.array([_scores(spec.leanings) for spec in specs])
    bonuses = [spec.bonus for spec in specs if spec.bonus is not None]
    return TasteRows(
        rng.choice(len(ROW_KINDS), size=n, p=shares / shares.sum()),
        np.stack([first, np.roll(first, 1, axis=0)], axis=1),
        np.array([[_column(*bonus.first), _column(*bonus.second)] for bonus in bonuses]),
        np.array([bonus.weight for bonus in bonuses]),
    )


def sample_profiles(rng: np.random.Generator, n: int) -> FloatArray:
    """Leanings of weight 1 drawn from the world's prior, (axes, n, columns)."""
    return np.array([[_scores([sample_leaning(rng, name, 1.0)]) for _ in range(n)] for name in STYLE_NAMES])


@cache
def _prior_sample() -> FloatArray:
    return one_hot(sample_styles(np.random.default_rng(0), 512))


def _column(axis: str, value: int) -> int:
    return int(STARTS[STYLE_NAMES.index(axis)]) + value


def _value(column: int) -> tuple[str, int]:
    axis = AXIS_OF[column]
    return STYLE_NAMES[axis], int(column - STARTS[axis])


def _scores(leanings: Sequence[Leaning]) -> FloatArray:
    scores = np.zeros(COLUMNS)
    for leaning in leanings:
        start = _column(leaning.axis, 0)
        scores[start : start + len(leaning.scores)] = leaning.scores
    return scores


def _leanings(scores: FloatArray) -> tuple[Leaning, ...]:
    parts = zip(STYLE_NAMES, np.split(scores, STARTS[1:]), strict=True)
    return tuple(Leaning(name, tuple(part.tolist())) for name, part in parts if part.any())
