"""Accuracy and calibration of a scorer on held-out users, and whether they admit it to rankings.

A scorer is asked which of two pictures of one prompt a user liked. Beside its accuracy stand those of what could
imitate it: a scorer that knows no user (the same one with an empty history), one that knows another user, one whose
users are permuted many times over, what most others chose, scorers of the crowd, and the best that is possible where
the suite knows the truth. The history it is given is the part of a user's judgments that only scorers see; the pairs
are of the part that methods see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray, PairScorer, Scorer, Scores, Split, Suite
from prefbench.files import write_atomic
from prefbench.run.stamps import stamped
from prefbench.score.figures import Bin, Interval, Known, ScorerFigures, kept_figures
from prefbench.score.scorer_answers import Answers, ask
from prefbench.score.scorer_pairs import JudgedPairs
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference
from prefbench.stats.percentiles import user_percentiles

BINS = 10
_REPLICATES = 2000
_NONE = Interval(None, None, None)


def measure(
    scorer: Scorer,
    suite: Suite,
    *,
    split: Split = "test",
    permutations: int = 20,
    crowd: Sequence[Scorer] = (),
) -> ScorerFigures:
    """Measures a scorer on the users of a split who have liked and disliked pictures in the part that methods see.

    Args:
        scorer: what is measured.
        suite: whose judgments it is asked about.
        split: of the users; none that the scorer was trained on.
        permutations: how many times every user is given another user's history; `mismatched` is the first of them.
        crowd: scorers that know no user, which it must beat.

    Raises:
        PrefbenchError: fewer than 3 such users, or what a scorer raises.
    """
    answered = ask(scorer, suite, split=split, permutations=permutations, crowd=crowd)
    figures = figures_of(answered, scorer=scorer.id, suite=suite.card.name, split=split)
    return replace(figures, digest=suite.digest)


def figures_of(answered: Answers, *, scorer: str, suite: str, split: Split = "test") -> ScorerFigures:
    """The figures of answers, which may be of several parts of one data set."""
    users = answered.users
    aucs = [_auc(values, user.liked) for values, user in zip(answered.own, users, strict=True)]
    scores = {name: as_scores(values, users) for name, values in answered.right.items()}
    calibration = _Calibration.of(answered.own, users)
    best = max(answered.crowd, key=lambda name: mean_of(scores[name]).value or 0.0, default="")
    return ScorerFigures(
        scorer=scorer,
        suite=suite,
        split=split,
        n_users=len({user.user for user in users}),
        n_pairs=len(scores["own"]),
        within_user_accuracy=mean_of(scores["own"]),
        within_user_auc=_mean_of_users(aucs, users),
        population=mean_of(scores["population"]),
        mismatched=mean_of(scores["mismatched"]),
        permuted=mean_of(scores["permuted"]),
        best_possible=_where_known(scores, "truth"),
        above_population=difference_of(scores["own"], scores["population"]),
        above_permuted=difference_of(scores["own"], scores["permuted"]),
        brier=calibration.brier(),
        ece=calibration.ece(),
        reliability=tuple(_bins(calibration.predicted, calibration.liked)),
        vote=_where_known(scores, "vote"),
        above_vote=_above(scores, "vote"),
        crowd_scorer=best,
        crowd=_where_known(scores, best),
        above_crowd=_above(scores, best),
        again=_where_known(scores, "again"),
        by_size=tuple(Known(n, mean_of(as_scores(values, users))) for n, values in (answered.sizes or {}).items()),
    )


def _where_known(scores: Mapping[str, Scores], name: str) -> Interval:
    return mean_of(scores[name]) if name in scores and not np.isnan(scores[name].values).all() else _NONE


def _above(scores: Mapping[str, Scores], name: str) -> Interval:
    known = name in scores and not np.isnan(scores[name].values).all()
    return difference_of(scores["own"], scores[name]) if known else _NONE


def keep(scorer: Scorer | PairScorer, figures: ScorerFigures) -> Path:
    """Keeps measured figures in the cache folder, where `admission.stored` finds them."""
    path = kept_figures(scorer.card.name, figures.suite)
    write_atomic(path, json.dumps(stamped({"figures": figures.to_json()}), indent=1) + "\n")
    return path


def as_scores(values: FloatArray, users: Sequence[JudgedPairs]) -> Scores:
    """One value per pair as scores, with the users and prompts of the pairs."""
    owners = np.repeat([user.user for user in users], [len(user.pairs) for user in users])
    return Scores(values, owners, np.array([user.judgments[a].prompt for user in users for a, _ in user.pairs]))


def mean_of(scores: Scores) -> Interval:
    """The mean over users with its interval."""
    return Interval.of(mean_interval(scores))


def difference_of(own: Scores, other: Scores) -> Interval:
    """The mean difference on the same pairs with its interval."""
    return Interval.of(paired_difference(own, other).estimate)


def _mean_of_users(values: Sequence[float], users: Sequence[JudgedPairs]) -> Interval:
    """The mean over users of values, of which a user may have several."""
    places = {user: str(n) for n, user in enumerate(dict.fromkeys(one.user for one in users))}
    owners = np.array([places[one.user] for one in users])
    return mean_of(Scores(np.array(values), owners, np.arange(len(values)).astype(str)))


def _auc(p_liked: FloatArray, liked: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: P(a like is above a dislike) + P(a tie) / 2, the Mann-Whitney form.

    `sklearn.metrics.roc_auc_score` integrates the curve, which rounds otherwise in the last bits of stored figures; the
    tests compare with it.
    """
    signs = np.sign(p_liked[liked][:, None] - p_liked[~liked][None])
    return float((signs.mean() + 1) / 2)


@dataclass(frozen=True)
class _Calibration:
    """P(liked) as the scorer gave it, and what came true, for every judgment of every user."""

    predicted: FloatArray
    liked: FloatArray
    """1 or 0."""
    rows_of: Sequence[NDArray[np.int64]]
    """User by user the rows of their judgments."""

    @classmethod
    def of(cls, values: Sequence[FloatArray], users: Sequence[JudgedPairs]) -> _Calibration:
        liked = np.concatenate([user.liked for user in users]).astype(np.float64)
        owners = np.repeat([user.user for user in users], [len(user.judgments) for user in users])
        rows = [np.flatnonzero(owners == user) for user in dict.fromkeys(one.user for one in users)]
        return cls(np.concatenate(values), liked, rows)

    def brier(self) -> Interval:
        """The mean over users of their mean squared error."""
        values = np.array([((self.predicted - self.liked)[rows] ** 2).mean() for rows in self.rows_of])
        names = np.arange(len(values)).astype(str)
        return mean_of(Scores(values, names, names))

    def ece(self) -> Interval:
        """The calibration error of all judgments, its interval by resampling users."""

        def statistic(users: NDArray[np.int64]) -> float:
            rows = np.concatenate([self.rows_of[user] for user in users])
            return _calibration_error(self.predicted[rows], self.liked[rows])

        n = len(self.rows_of)
        return Interval(statistic(np.arange(n)), *user_percentiles(n, statistic, replicates=_REPLICATES, seed=0))


def _calibration_error(predicted: FloatArray, liked: FloatArray) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015): sum_b n_b / n |said_b - true_b|."""
    return sum(abs(one.said - one.true) * one.n for one in _bins(predicted, liked)) / len(predicted)


def _bins(predicted: FloatArray, liked: FloatArray) -> list[Bin]:
    """The bins [b / 10, (b + 1) / 10) that hold any; `sklearn.calibration.calibration_curve` does not count them."""
    bin_of = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    return [
        Bin(float(predicted[rows].mean()), float(liked[rows].mean()), int(rows.sum()))
        for rows in (bin_of == b for b in range(BINS))
        if rows.any()
    ]
