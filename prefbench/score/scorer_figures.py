"""Accuracy and calibration of a scorer on held-out users, and whether they admit it to rankings.

A scorer is asked which of two pictures of one prompt a user liked. Beside its accuracy stand those of what could
imitate it: a scorer that knows no user (the same one with an empty history), one that knows another user, one whose
users are permuted many times over, and the best that is possible where the suite knows the truth. The history it is
given is the part of a user's judgments that only scorers see; the pairs are of the part that methods see.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prefbench.api import FloatArray, History, Scorer, Scores, Split, Suite
from prefbench.files import write_atomic
from prefbench.run.stamps import stamped
from prefbench.score.figures import Bin, Interval, ScorerFigures, kept_figures
from prefbench.score.scorer_pairs import JudgedPairs, accuracies, answers, derangements, judged_pairs
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference
from prefbench.stats.percentiles import user_percentiles

BINS = 10
_REPLICATES = 2000
_NOBODY = History("nobody", (), ())


def measure(scorer: Scorer, suite: Suite, *, split: Split = "test", permutations: int = 20) -> ScorerFigures:
    """Measures a scorer on the users of a split who have liked and disliked pictures in the part that methods see.

    Args:
        scorer: what is measured.
        suite: whose judgments it is asked about.
        split: of the users; none that the scorer was trained on.
        permutations: how many times every user is given another user's history; `mismatched` is the first of them.

    Raises:
        PrefbenchError: fewer than 3 such users, or what the scorer raises.
    """
    users = judged_pairs(suite, split)
    histories = [suite.history(user.user, "scorer") for user in users]
    own = answers(scorer, histories, users)
    others = [answers(scorer, [histories[i] for i in order], users) for order in derangements(len(users), permutations)]
    accuracy = {
        "own": accuracies(own, users),
        "population": accuracies(answers(scorer, [_NOBODY] * len(users), users), users),
        "mismatched": accuracies(others[0], users),
        "permuted": np.mean([accuracies(values, users) for values in others], axis=0),
    }
    if (truth := suite.truth) is not None:
        accuracy["truth"] = accuracies([truth.utility(user.user, user.pixels)["total"] for user in users], users)
    scores = {name: _as_scores(values, users) for name, values in accuracy.items()}
    calibration = _Calibration.of(own, users)
    return ScorerFigures(
        scorer=scorer.id,
        suite=suite.card.name,
        split=split,
        n_users=len(users),
        n_pairs=len(scores["own"]),
        within_user_accuracy=_mean(scores["own"]),
        within_user_auc=_mean_of_users([_auc(p, user.liked) for p, user in zip(own, users, strict=True)]),
        population=_mean(scores["population"]),
        mismatched=_mean(scores["mismatched"]),
        permuted=_mean(scores["permuted"]),
        best_possible=_mean(scores["truth"]) if "truth" in scores else Interval(None, None, None),
        above_population=_difference(scores["own"], scores["population"]),
        above_permuted=_difference(scores["own"], scores["permuted"]),
        brier=calibration.brier(),
        ece=calibration.ece(),
        reliability=tuple(_bins(calibration.predicted, calibration.liked)),
    )


def keep(scorer: Scorer, figures: ScorerFigures) -> Path:
    """Keeps measured figures in the cache folder, where `admission.stored` finds them."""
    path = kept_figures(scorer.card.name, figures.suite)
    write_atomic(path, json.dumps(stamped({"figures": figures.to_json()}), indent=1) + "\n")
    return path


def _as_scores(values: FloatArray, users: Sequence[JudgedPairs]) -> Scores:
    """One value per pair as scores, with the users and prompts of the pairs."""
    owners = np.repeat([user.user for user in users], [len(user.pairs) for user in users])
    return Scores(values, owners, np.array([user.judgments[a].prompt for user in users for a, _ in user.pairs]))


def _mean(scores: Scores) -> Interval:
    return Interval.of(mean_interval(scores))


def _difference(own: Scores, other: Scores) -> Interval:
    return Interval.of(paired_difference(own, other).estimate)


def _mean_of_users(values: Sequence[float]) -> Interval:
    """The mean of one value per user."""
    names = np.arange(len(values)).astype(str)
    return _mean(Scores(np.array(values), names, names))


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
        ends = np.cumsum([len(user.judgments) for user in users])
        liked = np.concatenate([user.liked for user in users]).astype(np.float64)
        return cls(np.concatenate(values), liked, np.split(np.arange(ends[-1]), ends[:-1]))

    def brier(self) -> Interval:
        """The mean over users of their mean squared error."""
        return _mean_of_users([((self.predicted - self.liked)[rows] ** 2).mean() for rows in self.rows_of])

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
