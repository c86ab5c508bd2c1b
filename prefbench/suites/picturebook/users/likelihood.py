"""How probable a history is under a taste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.choices import (
    DISLIKED_RATINGS,
    LIKED_RATINGS,
    RATINGS,
    log_likelihood,
    log_likelihood_of_ratings,
)
from prefbench.suites.picturebook.users.population import PRESENT, JudgedScene
from prefbench.suites.picturebook.users.quality import sample_defects, severity
from prefbench.suites.picturebook.users.taste_rows import TasteRows, one_hot
from prefbench.suites.picturebook.users.worlds import FIRST, World
from prefbench.suites.picturebook.world.axes import STYLE_NAMES, Content, IntArray, sample_styles
from prefbench.suites.picturebook.world.defects import DEFECTS

_PAIRS = 48
"""Random pairs of unseen pictures that the likelihood averages over."""


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
    """Log-likelihood (N,) of tastes, over one sample of unseen pictures that all tastes share."""

    def __init__(self, history: HistoryStyles, world: World, rng: np.random.Generator) -> None:
        others = sample_styles(rng, 2 * _PAIRS, uniform=STYLE_NAMES)
        self._sides = (history.liked, history.disliked)
        self._shown = one_hot(np.concatenate([history.liked.styles, history.disliked.styles, others]))
        self._cuts = (len(history.liked), len(history.liked) + len(history.disliked))
        self._severity: FloatArray | None = None
        if world.quality > 0:
            unseen = severity(sample_defects(rng, 2 * _PAIRS, world.defects))
            seen = [np.zeros(len(side)) if side.severity is None else side.severity for side in self._sides]
            self._severity = np.concatenate([*seen, unseen])

    def __call__(self, tastes: TasteRows) -> FloatArray:
        utilities = tastes.utilities(self._shown)
        if self._severity is not None:
            utilities = utilities - (tastes.care[:, None] * self._severity)[:, None]
        liked, disliked, unseen = np.split(utilities, self._cuts, axis=2)
        sides = [_weighed(tastes, *pair, unseen) for pair in zip(self._sides, (liked, disliked), strict=True)]
        if any(side.ratings is not None for side in self._sides):
            parts = [_of_ratings(tastes, *pair) for pair in zip(self._sides, sides, strict=True)]
            return np.asarray(sum(parts))
        (first, others), (second, others_of_second) = sides
        return log_likelihood(first, second, others, tastes.sharpness, unseen=others_of_second)


class _Weighed(NamedTuple):
    """Utilities (N, J) of the pictures of a side, and (N, J or 1, 2, pairs) of what may have been shown beside them."""

    judged: FloatArray
    unseen: FloatArray


def _weighed(tastes: TasteRows, side: Side, judged: FloatArray, unseen: FloatArray) -> _Weighed:
    """The first and the second taste together, as each counts in a judgment."""
    n = len(tastes)
    if side.contents == ():
        return _Weighed(judged[:, 0], unseen[:, 0].reshape(n, 1, 2, _PAIRS))
    present = np.ones(len(side)) if side.present is None else side.present
    share = tastes.share_of_first(side.contents, present)
    apart = share[:, :, None] * unseen[:, :1] + (1 - share)[:, :, None] * unseen[:, 1:]
    return _Weighed(share * judged[:, 0] + (1 - share) * judged[:, 1], apart.reshape(n, len(side), 2, _PAIRS))


def _of_ratings(tastes: TasteRows, side: Side, utilities: _Weighed) -> FloatArray:
    if side.ratings is None:
        return np.zeros(len(tastes))
    return log_likelihood_of_ratings(utilities.judged, utilities.unseen, side.ratings, tastes.sharpness)
