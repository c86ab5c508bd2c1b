"""The pictures that methods were shown, and how similar another must be to count as a copy."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefbench.api import Evidence, Features, Picture

from .cosines import judged_directions, nearest
from .picture_hash import Hashes, nearest_bits, picture_hash, view_hashes

logger = logging.getLogger(__name__)
FALSE_POSITIVES = 0.001
"""Share of pictures that are no copies on which a detector may fire."""
LEAST_NEGATIVES = 1000
"""With fewer negatives, no threshold guarantees that share."""
ROUNDING = 1e-9
"""Largest difference between closenesses of equal pictures."""


@dataclass(frozen=True)
class ShownPictures:
    """The pictures that one user's method was shown, at least one, and how close the user's held-out likes come."""

    digests: frozenset[str]
    hashes: Hashes
    """Hashes (views, 2) of all views: crops and mirror images."""
    features: Features
    """Their directions (pictures, D)."""
    cosines_of_likes: Features
    """(likes,), only of likes that have a direction."""

    def agreement(self, hashes: Hashes) -> Features:
        """Minus the bits in which each hash (N, 2) differs from the nearest view: 0 for a copy, at the least -128."""
        return -nearest_bits(hashes, self.hashes).astype(np.float64)

    def cosines(self, rows: Features) -> Features:
        """Cosine of each direction (N, D) with the nearest shown picture; NaN where either side has none."""
        return nearest(rows, self.features)


@dataclass(frozen=True)
class CopyDetector:
    """The pictures shown for each user, and the closeness above which a picture is a copy."""

    users: Mapping[str, ShownPictures]
    agreement_threshold: float
    """NaN where none is known."""
    cosine_threshold: float
    negatives: int
    """How many pairs of a user and another user's held-out like the thresholds are calibrated on."""


def copy_detector(evidence: Evidence) -> CopyDetector:
    """Hashes and features of the judged pictures of a run, and thresholds from the negatives among them."""
    pictures_of = {
        user: [j.picture for j in (*h.liked, *h.disliked)] for user, h in evidence.histories["method"].items()
    }
    likes_of = {user: [j.picture for j in h.liked] for user, h in evidence.histories["scorer"].items()}
    shown_directions, like_directions = judged_directions(pictures_of, evidence), judged_directions(likes_of, evidence)
    users = {
        user: _shown(pictures, shown_directions[user], like_directions.get(user))
        for user, pictures in pictures_of.items()
        if pictures
    }
    return _calibrated(users, likes_of, like_directions)


def _shown(pictures: Sequence[Picture], features: Features, like_features: Features | None) -> ShownPictures:
    closest = np.empty(0) if like_features is None else nearest(like_features, features)
    views = np.concatenate([view_hashes(picture.load()) for picture in pictures])
    digests = frozenset(picture.digest for picture in pictures)
    return ShownPictures(digests, views, features, closest[np.isfinite(closest)])


def _calibrated(
    users: Mapping[str, ShownPictures], likes: Mapping[str, Sequence[Picture]], like_features: Mapping[str, Features]
) -> CopyDetector:
    """Thresholds from every user's shown pictures against all likes of others that are not among them."""
    every = [picture for mine in likes.values() for picture in mine]
    owners = np.repeat(list(likes), [len(mine) for mine in likes.values()])
    digests = np.array([picture.digest for picture in every])
    hashes = np.concatenate([np.empty((0, 2), np.uint64), *(picture_hash(picture.load()) for picture in every)])
    rows = np.concatenate(list(like_features.values()))
    agreements, cosines = [np.empty(0)], [np.empty(0)]
    for user, memory in users.items():
        others = (owners != user) & ~np.isin(digests, list(memory.digests))
        agreements.append(memory.agreement(hashes[others]))
        cosines.append(memory.cosines(rows[others]))
    agreement, cosine = np.concatenate(agreements), np.concatenate(cosines)
    thresholds = threshold(agreement, 0.0), threshold(cosine[np.isfinite(cosine)], 1.0)
    detector = CopyDetector(users, *thresholds, len(agreement))
    _log_thresholds(detector)
    return detector


def threshold(negatives: Features, best: float) -> float:
    """The closeness above which a picture is no negative at p = 0.001; NaN where even a copy does not exceed it.

    p is the conformal p-value (1 + negatives at least as close) / (1 + negatives) of Vovk et al. (2005): where picture
    and negatives come from one population, it is at most 0.001 with a probability of at most 0.001. The plain quantile
    of the negatives does not guarantee that.

    Args:
        negatives: closeness (N,) of pictures that are no copies; under 1000 of them give none.
        best: closeness of an exact copy, which must exceed the threshold.

    Example:
        >>> threshold(np.arange(2000.0), 3000.0)
        1998.0
    """
    if len(negatives) < LEAST_NEGATIVES:
        return float("nan")
    rank = len(negatives) - int(FALSE_POSITIVES * (len(negatives) + 1))
    closeness = float(np.partition(negatives, rank)[rank])
    return closeness if closeness < best - ROUNDING else float("nan")


def _log_thresholds(detector: CopyDetector) -> None:
    if detector.negatives < LEAST_NEGATIVES:
        logger.warning(
            "copy-rate: thresholds need %d pairs of a user and another user's held-out like, there are %d: only"
            " copy-rate/nearer has values",
            LEAST_NEGATIVES,
            detector.negatives,
        )
        return
    logger.info(
        "copy-rate: by %d negatives a copy differs in under %g of 128 bits, or has a cosine over %.4f",
        detector.negatives,
        -detector.agreement_threshold,
        detector.cosine_threshold,
    )
