"""How far a scorer can be believed: measured on judgments of users whom nothing has seen, and whether that admits it.

A scorer is asked which of two pictures of one prompt a user liked. Beside its answers stand what could imitate them: a
scorer that knows no user (the same one with an empty history), one that knows another user, one whose users are
permuted many times over, and the best that is possible where the suite knows the truth. The history it is given is the
part of a user's judgments that only scorers see; the pairs it is asked about are of the part that methods see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.api import History, Judgment, Pixels, PrefbenchError, Scorer, Scores, Split, Suite, to_pixels
from prefbench.stats.bootstrap import crossed_bootstrap
from prefbench.stats.paired import paired_difference

Floats = NDArray[np.float64]
BINS = 10
_REPLICATES = 2000


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval over users; all None where it cannot be measured."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def none(cls) -> Interval:
        return cls(None, None, None)


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability plot: what was said on average, what came true, on how many judgments."""

    said: float
    true: float
    n: int


@dataclass(frozen=True)
class ScorerFigures:
    """What `measure` found. Accuracies and AUC: 0 to 1, chance 0.5. Brier score and expected calibration error: 0 best.

    `above_population` and `above_permuted` are differences in accuracy on the same pairs: both must be above 0 with
    their whole intervals for a scorer to be admitted to rankings.
    """

    scorer: str
    suite: str
    split: str
    n_users: int
    n_pairs: int
    within_user_accuracy: Interval
    within_user_auc: Interval
    population: Interval
    mismatched: Interval
    permuted: Interval
    best_possible: Interval
    above_population: Interval
    above_permuted: Interval
    brier: Interval
    ece: Interval
    reliability: tuple[Bin, ...]

    @property
    def admitted(self) -> bool:
        ends = (self.above_population.low, self.above_permuted.low)
        return all(end is not None and end > 0 for end in ends)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "admitted": self.admitted}


@dataclass(frozen=True)
class _Asked:
    """The judgments of one user that a scorer is asked about, and which rows of it are pairs."""

    user: str
    judgments: Sequence[Judgment]
    pixels: Sequence[Pixels]
    pairs: NDArray[np.int64]
    """(P, 2) rows of a liked and a disliked judgment."""

    @property
    def liked(self) -> NDArray[np.bool_]:
        return np.array([judgment.liked for judgment in self.judgments])


def measure(scorer: Scorer, suite: Suite, *, split: Split = "test", permutations: int = 20) -> ScorerFigures:
    """Measures a scorer on the users of a split who have liked and disliked pictures in the part that methods see.

    Args:
        permutations: how many times every user is given another user's history; `mismatched` is the first of them.

    Raises:
        PrefbenchError: fewer than 3 such users, or what the scorer raises.
    """
    asked = _asked(suite, split)
    histories = [suite.history(one.user, "scorer") for one in asked]
    own = _answers(scorer, histories, asked)
    nobody = _answers(scorer, [History("nobody", (), ())] * len(asked), asked)
    others = [_answers(scorer, [histories[i] for i in order], asked) for order in _strangers(len(asked), permutations)]
    truth = suite.truth
    best = None if truth is None else [truth.utility(one.user, one.pixels)["total"] for one in asked]
    right = {
        "own": _right(own, asked),
        "population": _right(nobody, asked),
        "mismatched": _right(others[0], asked),
        "permuted": np.mean([_right(answers, asked) for answers in others], axis=0),
    }
    users = np.repeat([one.user for one in asked], [len(one.pairs) for one in asked])
    prompts = np.array([one.judgments[a].prompt for one in asked for a, _ in one.pairs])

    def mean(values: Floats) -> Interval:
        found = crossed_bootstrap(Scores(values, users, prompts))
        return Interval(found.value, found.low, found.high)

    def above(name: str) -> Interval:
        found = paired_difference(Scores(right["own"], users, prompts), Scores(right[name], users, prompts)).estimate
        return Interval(found.value, found.low, found.high)

    said, true, owners = _verdicts(own, asked)
    return ScorerFigures(
        scorer=scorer.id,
        suite=suite.card.name,
        split=split,
        n_users=len(asked),
        n_pairs=len(users),
        within_user_accuracy=mean(right["own"]),
        within_user_auc=_over_users(np.array([_auc(a, one.liked) for a, one in zip(own, asked, strict=True)])),
        population=mean(right["population"]),
        mismatched=mean(right["mismatched"]),
        permuted=mean(right["permuted"]),
        best_possible=Interval.none() if best is None else mean(_right(best, asked)),
        above_population=above("population"),
        above_permuted=above("permuted"),
        brier=_over_users(np.array([((said - true)[owners == u] ** 2).mean() for u in np.unique(owners)])),
        ece=_resampled(lambda rows: _calibration_error(said[rows], true[rows]), owners),
        reliability=tuple(_bins(said, true)),
    )


def _asked(suite: Suite, split: Split) -> list[_Asked]:
    found = []
    for user in suite.users(split):
        history = suite.history(user.id, "method")
        judgments = [*history.liked, *history.disliked]
        pairs = _pairs(judgments)
        if len(pairs):
            found.append(_Asked(user.id, judgments, [to_pixels(j.picture.load()) for j in judgments], pairs))
    if len(found) < 3:
        raise PrefbenchError(
            f"scorers are measured on 3 users with likes and dislikes at least; {split} has {len(found)}"
        )
    return found


def _pairs(judgments: Sequence[Judgment]) -> NDArray[np.int64]:
    """Those judged against each other; where the suite does not say, all of one prompt."""
    rows = [
        (a, b)
        for a, liked in enumerate(judgments)
        for b, disliked in enumerate(judgments)
        if liked.liked and not disliked.liked and liked.prompt == disliked.prompt and liked.pair == disliked.pair
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 2)


def _answers(scorer: Scorer, histories: Sequence[History], asked: Sequence[_Asked]) -> list[Floats]:
    return [
        scorer.score(history, [j.prompt for j in one.judgments], one.pixels)
        for history, one in zip(histories, asked, strict=True)
    ]


def _strangers(n: int, times: int) -> list[NDArray[np.int64]]:
    """Random assignments of users to others, nobody to oneself."""
    rng, found = np.random.default_rng(0), []
    for _ in range(times):
        order, partner = rng.permutation(n), np.empty(n, dtype=np.int64)
        partner[order] = np.roll(order, 1)
        found.append(partner)
    return found


def _right(answers: Sequence[Floats], asked: Sequence[_Asked]) -> Floats:
    """For each pair whether the liked picture got the higher answer; a tie is half right."""
    ahead = [a[one.pairs[:, 0]] - a[one.pairs[:, 1]] for a, one in zip(answers, asked, strict=True)]
    return np.asarray((np.sign(np.concatenate(ahead)) + 1) / 2)


def _auc(answers: Floats, liked: NDArray[np.bool_]) -> float:
    ahead = np.sign(answers[liked][:, None] - answers[~liked][None])
    return float((ahead.mean() + 1) / 2)


def _verdicts(answers: Sequence[Floats], asked: Sequence[_Asked]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """What was said of every judgment, whether it was liked, and whose it is."""
    liked = np.concatenate([one.liked for one in asked]).astype(np.float64)
    owners = np.repeat(np.arange(len(asked)), [len(one.judgments) for one in asked])
    return np.concatenate(answers), liked, owners


def _bins(said: Floats, true: Floats) -> list[Bin]:
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    return [
        Bin(float(said[rows].mean()), float(true[rows].mean()), int(rows.sum()))
        for rows in (place == b for b in range(BINS))
        if rows.any()
    ]


def _calibration_error(said: Floats, true: Floats) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015)."""
    return sum(abs(one.said - one.true) * one.n for one in _bins(said, true)) / len(said)


def _over_users(values: Floats) -> Interval:
    names = np.arange(len(values)).astype(str)
    found = crossed_bootstrap(Scores(values, names, names))
    return Interval(found.value, found.low, found.high)


def _resampled(statistic: Callable[[NDArray[np.int64]], float], owners: NDArray[np.int64]) -> Interval:
    """A statistic of all rows, with the percentiles it has when users are drawn with replacement."""
    rng, rows_of = np.random.default_rng(0), [np.flatnonzero(owners == u) for u in np.unique(owners)]
    drawn = [
        statistic(np.concatenate([rows_of[u] for u in rng.integers(len(rows_of), size=len(rows_of))]))
        for _ in range(_REPLICATES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(statistic(np.arange(len(owners))), float(low), float(high))
