"""How probable a history is under a taste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.choices import (
    DISLIKED_RATINGS,
    LIKED_RATINGS,
    RATINGS,
    log_likelihood_of_likes,
    log_likelihood_of_pairs,
    log_likelihood_of_ratings,
)
from prefbench.suites.picturebook.users.population import PRESENT, JudgedScene
from prefbench.suites.picturebook.users.quality import severity, severity_at
from prefbench.suites.picturebook.users.taste_rows import TasteRows, one_hot
from prefbench.suites.picturebook.users.worlds import FIRST, World
from prefbench.suites.picturebook.world.axes import STYLE, STYLE_NAMES, Content, IntArray
from prefbench.suites.picturebook.world.defects import DEFECTS

_PICTURES, _NODES = 256, 16
_SHARES = np.unique([0.0, 1.0, *PRESENT])
"""What the first of two tastes can count in a judgment."""
_CHUNK = 256
"""Tastes at a time, so that their arrays stay in the processor's cache."""


@dataclass(frozen=True)
class Side:
    """What is known of the liked or of the disliked pictures of a history, J in all; oldest first."""

    styles: IntArray
    """(J, axes)"""
    contents: tuple[Content, ...] = ()
    """Nothing where no content matters."""
    severity: FloatArray | None = None
    """(J,), of defects; None where all are flawless."""
    present: FloatArray | None = None
    """(J,), the share of the present taste in judgments of a drifting user; None where it is all that counts."""
    ratings: IntArray | None = None
    """(J,), of users who rate."""

    def __len__(self) -> int:
        return len(self.styles)


@dataclass(frozen=True)
class HistoryStyles:
    """A history as styles: liked and disliked, index-aligned where both have as many and there are no ratings."""

    liked: Side
    disliked: Side

    @classmethod
    def of(cls, liked: IntArray, disliked: IntArray) -> HistoryStyles:
        """A history of flawless pictures, as styles (J, axes) and (K, axes)."""
        return cls(Side(liked), Side(disliked))


def judged_styles(liked: Sequence[JudgedScene], disliked: Sequence[JudgedScene], world: World) -> HistoryStyles:
    """What an exact inference may use of judged scenes, oldest first; of the first world styles alone."""
    return HistoryStyles(_side(liked, world, liked=True), _side(disliked, world, liked=False))


def _side(scenes: Sequence[JudgedScene], world: World, *, liked: bool) -> Side:
    styles = np.array([one.scene.style for one in scenes], dtype=np.int64).reshape(len(scenes), len(STYLE_NAMES))
    if world == FIRST:
        return Side(styles)
    flawless = (0,) * len(DEFECTS)
    levels = np.array([one.defects or flawless for one in scenes], dtype=np.int64).reshape(len(scenes), len(DEFECTS))
    present = PRESENT[len(PRESENT) - len(scenes) :] if len(scenes) <= len(PRESENT) else None
    ratings = [_as_if(one.rating, liked=liked) for one in scenes if one.rating is not None]
    return Side(
        styles,
        tuple(one.scene.content for one in scenes),
        severity(levels),
        present,
        np.array(ratings, dtype=np.int64) if ratings and len(ratings) == len(scenes) else None,
    )


def _as_if(rating: int, *, liked: bool) -> int:
    """A rating as it would be on its side: controls exchange the sides of a history."""
    return rating if rating in (LIKED_RATINGS if liked else DISLIKED_RATINGS) else len(RATINGS) + 1 - rating


class Likelihood:
    """Log-likelihood (N,) of tastes under a history, in worlds other than the first.

    What users saw beside the judged pictures is averaged out. The unseen pictures are the same for every history, and
    spread evenly over styles and defects (a Sobol sequence); their utilities count as `_NODES` values.
    """

    def __init__(self, history: HistoryStyles, world: World) -> None:
        unseen = _unseen(world)
        self._sides = (history.liked, history.disliked)
        self._shown = np.concatenate([*(one_hot(side.styles) for side in self._sides), unseen.columns], axis=1)
        self._cuts = (len(history.liked), len(history.liked) + len(history.disliked))
        seen = [np.zeros(len(side)) if side.severity is None else side.severity for side in self._sides]
        self._severity = np.concatenate([*seen, unseen.severity])

    def __call__(self, tastes: TasteRows) -> FloatArray:
        scores = np.empty(len(tastes))
        for flags in (tastes.second_is_apart, ~tastes.second_is_apart):
            rows = np.flatnonzero(flags)
            for chunk in np.split(rows, range(_CHUNK, len(rows), _CHUNK)):
                scores[chunk] = self._of_alike(tastes.rows(chunk))
        return scores

    def _of_alike(self, tastes: TasteRows) -> FloatArray:
        """Of rows of which all have a second taste apart from the first, or none."""
        utilities = tastes.utilities(self._shown) - (tastes.care[:, None] * self._severity)[:, None]
        liked, disliked, unseen = np.split(utilities, self._cuts, axis=2)
        nodes = _nodes(unseen if unseen.shape[1] == 1 else _mixed(unseen, _SHARES))
        sides = [_weighed(tastes, *pair, nodes) for pair in zip(self._sides, (liked, disliked), strict=True)]
        if any(side.ratings is not None for side in self._sides):
            parts = [_of_ratings(tastes, *pair) for pair in zip(self._sides, sides, strict=True)]
            return np.asarray(sum(parts))
        (first, others), (second, others_of_second) = sides
        if first.shape == second.shape:
            return log_likelihood_of_pairs(first, second, others, tastes.sharpness)
        of_likes = log_likelihood_of_likes(first, others, tastes.sharpness)
        return of_likes + log_likelihood_of_likes(-second, -others_of_second, tastes.sharpness)


class _Unseen(NamedTuple):
    columns: FloatArray
    """`one_hot` styles, (columns, P)."""
    severity: FloatArray
    """(P,)"""


@cache
def _unseen(world: World) -> _Unseen:
    from scipy.stats.qmc import Sobol

    places = Sobol(len(STYLE) + 1, seed=0).random(_PICTURES)
    styles = (places[:, :-1] * [len(axis) for axis in STYLE]).astype(np.int64)
    return _Unseen(one_hot(styles), severity_at(places[:, -1], world.defects))


class _Weighed(NamedTuple):
    """Utilities (N, J) of the pictures of a side, and (N, J or 1, nodes) of what may have been shown beside them."""

    judged: FloatArray
    unseen: FloatArray


def _weighed(tastes: TasteRows, side: Side, judged: FloatArray, nodes: FloatArray) -> _Weighed:
    """The first and the second taste together, as each counts in a judgment.

    Args:
        judged: utilities (N, 1 or 2, J).
        nodes: of unseen pictures, (N, 1, nodes) or by `_SHARES` of the first taste, (N, shares, nodes).
    """
    if judged.shape[1] == 1:
        return _Weighed(judged[:, 0], nodes)
    share = tastes.share_of_first(side.contents, np.ones(len(side)) if side.present is None else side.present)
    places = np.searchsorted(_SHARES, share)
    return _Weighed(
        share * judged[:, 0] + (1 - share) * judged[:, 1], np.take_along_axis(nodes, places[:, :, None], axis=1)
    )


def _mixed(utilities: FloatArray, shares: FloatArray) -> FloatArray:
    """Utilities (N, shares, P) by two tastes (N, 2, P) of which the first has a share."""
    return np.asarray(shares[:, None] * utilities[:, :1] + (1 - shares)[:, None] * utilities[:, 1:])


def _nodes(utilities: FloatArray) -> FloatArray:
    """The means (..., nodes) of equally large parts of utilities (..., P) in order."""
    ordered = np.sort(utilities.astype(np.float32), axis=-1)  # sorts twice as fast
    parts = ordered.reshape(*ordered.shape[:-1], _NODES, _PICTURES // _NODES)
    return np.asarray(parts.mean(axis=-1), dtype=np.float64)


def _of_ratings(tastes: TasteRows, side: Side, utilities: _Weighed) -> FloatArray:
    if side.ratings is None:
        return np.zeros(len(tastes))
    return log_likelihood_of_ratings(utilities.judged, utilities.unseen, side.ratings, tastes.sharpness)
