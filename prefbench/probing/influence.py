"""Influence values: what each row or user adds to a statistic to first order, so that its mean is the statistic.

For an AUC over likes and dislikes of one user, A = mean over pairs of [s_like > s_dislike] (ties 1/2), the structural
components (DeLong et al., Biometrics 1988) are V_i = share of dislikes below like i and W_j = share of likes above
dislike j; A = mean V = mean W. Row i of n rows then carries A + n / n_side (V_i - A): its mean over all rows is A, and
resampling rows moves the mean as resampling likes and dislikes moves A.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prefbench.api import Estimate, FloatArray, Scores
from prefbench.probing.labels import ProbeLabels
from prefbench.stats.means import mean_interval


def liking_rows(scores: FloatArray, labels: ProbeLabels) -> tuple[FloatArray, FloatArray]:
    """Influence values (N,) of each user's AUC and balanced accuracy, whose means they are; NaN without both labels.

    Score 0 is the threshold; a score of just 0 is half right.
    """
    auc, accuracy = (np.full(len(scores), np.nan) for _ in range(2))
    for user in np.unique(labels.users):
        own = labels.users == user
        liked, disliked = np.flatnonzero(own & labels.liked), np.flatnonzero(own & ~labels.liked)
        if not len(liked) or not len(disliked):
            continue
        wins = share_below(scores[liked], scores[disliked]), 1 - share_below(scores[disliked], scores[liked])
        right = (1 + np.sign(scores[liked])) / 2, (1 - np.sign(scores[disliked])) / 2
        mean_wins, mean_right = wins[0].mean(), (right[0].mean() + right[1].mean()) / 2
        for rows, side_wins, side_right in zip((liked, disliked), wins, right, strict=True):
            pull = own.sum() / len(rows)  # both labels weigh the same, so a row of the rarer one pulls harder
            auc[rows] = mean_wins + pull * (side_wins - mean_wins)
            accuracy[rows] = mean_right + pull / 2 * (side_right - side_right.mean())
    return auc, accuracy


def verification_rows(similar: FloatArray) -> FloatArray:
    """Influence values (U,) of the pooled verification AUC, from similarities (U, U) whose diagonal is the own pairs.

    The AUC compares every own pair with every pair of strangers. A user enters it by the own pair, as the share of
    strangers' pairs below that, and by all pairs with strangers, as the share of own pairs above those.
    """
    own = np.diag(similar)
    strange = ~np.isnan(similar) & ~np.eye(len(similar), dtype=bool)
    above = np.zeros_like(similar)
    above[strange] = 1 - share_below(similar[strange], own)
    as_stranger = (above.sum(0) + above.sum(1)) / (strange.sum(0) + strange.sum(1))
    # Centred, so that the mean over users is the AUC itself; times 2, because a pair of strangers moves with either.
    rows: FloatArray = share_below(own, similar[strange]) + 2 * (as_stranger - as_stranger.mean())
    return rows


def recall_rows(similar: FloatArray, gallery: int) -> FloatArray:
    """How often (U,) each user's other history is the nearest of a gallery, over both directions."""
    rows: FloatArray = (_recall(similar, gallery) + _recall(similar.T, gallery)) / 2
    return rows


def _recall(similar: FloatArray, gallery: int) -> FloatArray:
    """Chance (U,) that one's own is above gallery - 1 others, sampled without replacement from the row.

    With b of m others below one's own: C(b, g - 1) / C(m, g - 1) = prod_{i < g - 1} (b - i) / (m - i).
    """
    own = np.diag(similar)[:, None]
    others = (~np.isnan(similar)).sum(1) - 1
    below, turn = (similar < own).sum(1), np.arange(gallery - 1)
    recall: FloatArray = ((below[:, None] - turn).clip(min=0) / (others[:, None] - turn)).prod(1)
    return recall


def share_below(values: FloatArray, reference: FloatArray) -> FloatArray:
    """The share of the reference below each value, ties as half."""
    ordered = np.sort(reference)
    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    share: FloatArray = both / (2 * len(ordered))
    return share


def mean_of_users(rows: FloatArray) -> Estimate:
    """The mean of one value per user, with its interval."""
    names = np.arange(len(rows)).astype(str)
    return mean_of_rows(Scores(rows, names, names))


def mean_of_rows(scores: Scores) -> Estimate:
    """The mean over users; ends of intervals stay in 0 to 1, which a first-order value may leave."""
    mean = mean_interval(scores)
    low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (mean.low, mean.high))
    return replace(mean, low=low, high=high)


def by_user(rows: FloatArray, labels: ProbeLabels) -> FloatArray:
    """The mean (U,) of each user's rows (N,), users sorted; NaN where a user has none."""
    position = np.unique(labels.users, return_inverse=True)[1]
    means: FloatArray = np.bincount(position, weights=rows) / np.bincount(position)
    return means
