"""Likeness of images to held-out likes: to the user's own, minus that to all other users'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from prefbench.api import Evidence, Features, NotMeasurableError, Picture, Scored

from .cosines import normalised

Embedding = Callable[[Features], Features]
"""Features (N, D) to directions (N, D); NaN for rows that have none."""


@dataclass(frozen=True)
class HeldOutLikes:
    """Mean unit embedding (users, D) of each user's held-out likes; users without any are left out.

    The mean cosine of a unit vector with several is its product with their mean.
    """

    users: tuple[str, ...]
    means: Features
    embed: Embedding
    """Turns features of drawn images into directions, as it did those of the likes."""


def held_out_likes(evidence: Evidence) -> HeldOutLikes:
    """Directions of the features as they are. Raises `NotMeasurableError` where nobody has a held-out like."""
    pictures, features = _likes(evidence)
    return _averaged(pictures, features, normalised)


def decorrelated_likes(evidence: Evidence) -> HeldOutLikes:
    """Directions of (x - mean) / deviation, over all likes, times (R + 1)^-½.

    R is their correlation matrix. So neither units nor a property that many features share, such as contrast, dominates
    the cosines; the 1 bounds the gain of directions in which likes hardly differ.

    Raises:
        NotMeasurableError: nobody has a held-out like.
    """
    pictures, features = _likes(evidence)
    shift, deviation = features.mean(axis=0), features.std(axis=0)
    # A feature that is constant up to rounding has no scale and does not count.
    varies = deviation > 1e-9 * np.abs(features).max(axis=0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=varies)
    rows = (features - shift) * scale
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    root = (vectors / np.sqrt(values.clip(0) + 1)) @ vectors.T
    return _averaged(pictures, features, partial(_decorrelated, shift=shift, matrix=scale[:, None] * root))


def likeness(samples: Sequence[Scored], features: Features, likes: HeldOutLikes) -> dict[str, Features]:
    """For each sample 100 x the mean cosine to the user's `own` likes, that to `others`' likes, and `total`: the gap.

    Every other user counts the same. NaN where there is no like on that side, or the sample has no direction.
    """
    cosines = 100 * likes.embed(features) @ likes.means.T
    column = {user: i for i, user in enumerate(likes.users)}
    has_likes = np.array([s.user in column for s in samples])
    own = np.array([cosines[i, column[s.user]] if s.user in column else np.nan for i, s in enumerate(samples)])
    count = len(likes.users) - has_likes
    rest = cosines.sum(axis=1) - np.where(has_likes, own, 0)
    others = np.divide(rest, count, out=np.full(len(samples), np.nan), where=count > 0)
    return {"total": own - others, "own": own, "others": others}


def _likes(evidence: Evidence) -> tuple[Mapping[str, Sequence[Picture]], Features]:
    """The liked pictures of users who have any, and their features (likes, D) in that order; one pass for all users."""
    liked = {user: [j.picture for j in h.liked] for user, h in evidence.histories["scorer"].items() if h.liked}
    if not liked:
        raise NotMeasurableError("no user of this run has a held-out like to compare with")
    return liked, evidence.judged_features([picture for mine in liked.values() for picture in mine])


def _averaged(pictures: Mapping[str, Sequence[Picture]], features: Features, embed: Embedding) -> HeldOutLikes:
    rows = embed(features)
    directed = np.isfinite(rows).all(axis=1)
    owners = np.repeat(list(pictures), [len(mine) for mine in pictures.values()])[directed]
    users = [user for user in pictures if (owners == user).any()]
    means = [rows[directed][owners == user].mean(axis=0) for user in users]
    return HeldOutLikes(tuple(users), np.reshape(means, (len(users), features.shape[1])), embed)


def _decorrelated(features: Features, *, shift: Features, matrix: Features) -> Features:
    return normalised((features - shift) @ matrix)
