"""What a scorer answers about judged pairs with the own history, and what could imitate it answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prefbench.api import CrossFittedScorer, FloatArray, History, Judgment, PrefbenchError, Scorer, Split, Suite, Truth
from prefbench.api.errors import PluginError
from prefbench.score.scorer_pairs import JudgedPairs, accuracies, answers, derangements, judged_pairs

SIZES = (4, 8, 16, 32, 64, 128, 256, 512)
"""Sizes of history at which accuracy is measured, as far as most histories reach."""


@dataclass(frozen=True)
class Answers:
    """The pairs of people, and for each what was right: 1, 0, or 0.5 for a tie; NaN where there is no answer.

    Attributes:
        users: the pairs, user by user; users may stand there several times, with other pairs each time.
        own: P(liked) of each user's judgments with their own history.
        right: (P,) for the pairs of all users in their order: `own`, `population`, `mismatched`, `permuted`, `vote`,
            the names of crowd scorers, and `truth` and `again` where these are known.
        sizes: the same with histories of so many judgments or pairs alone.
    """

    users: Sequence[JudgedPairs]
    own: Sequence[FloatArray]
    right: Mapping[str, FloatArray]
    crowd: Sequence[str] = ()
    """Names in `right` of scorers that know no user."""
    sizes: Mapping[int, FloatArray] | None = None

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """The answers of several parts of one data set: what any part lacks is left out."""
        names = [name for name in parts[0].right if all(name in part.right for part in parts)]
        sizes = [size for size in parts[0].sizes or {} if all(size in (part.sizes or {}) for part in parts)]
        return cls(
            [user for part in parts for user in part.users],
            [values for part in parts for values in part.own],
            {name: np.concatenate([part.right[name] for part in parts]) for name in names},
            [name for name in parts[0].crowd if name in names],
            {size: np.concatenate([(part.sizes or {})[size] for part in parts]) for size in sizes},
        )


def ask(
    scorer: Scorer,
    suite: Suite,
    *,
    split: Split = "test",
    permutations: int = 20,
    crowd: Sequence[Scorer] = (),
    again: Suite | None = None,
    sizes: Sequence[int] = SIZES,
) -> Answers:
    """Asks about the pairs of the part that methods see, given the part that only scorers see.

    Args:
        scorer: who is asked. One that learns across people learns from all users of the split first.
        suite: whose judgments it is asked about.
        split: of the users.
        permutations: how many times every user is given another user's history; `mismatched` is the first of them.
        crowd: scorers that know no user, asked about the same pairs.
        again: the same people's judgments of the same pictures, another time.
        sizes: pairs, or judgments, that histories are cut to, where at least half of them hold more.

    Raises:
        PrefbenchError: fewer than 3 users with pairs, or what a scorer raises.
    """
    users = judged_pairs(suite, split)
    if isinstance(scorer, CrossFittedScorer):
        scorer.fit({user.id: suite.history(user.id, "scorer") for user in suite.users(split)})
    histories = [suite.history(user.user, "scorer") for user in users]
    own = answers(scorer, histories, users)
    learns = isinstance(scorer, CrossFittedScorer)
    nobody = [History(user.user if learns else "nobody", (), ()) for user in users]
    others = [
        answers(scorer, _swapped(scorer, histories, order), users) for order in derangements(len(users), permutations)
    ]
    right = {
        "own": accuracies(own, users),
        "population": accuracies(answers_for_nobody(scorer, nobody, users), users),
        "mismatched": accuracies(others[0], users),
        "permuted": np.mean([accuracies(values, users) for values in others], axis=0),
        "vote": _voted(users),
        **{one.card.name: accuracies(answers(one, nobody, users), users) for one in crowd},
    }
    if (truth := suite.truth) is not None:
        right["truth"] = accuracies([_utilities(truth, user) for user in users], users)
    if again is not None:
        right["again"] = _again(users, again, split)
    return Answers(users, own, right, [one.card.name for one in crowd], _by_size(scorer, histories, users, sizes))


def _utilities(truth: Truth, user: JudgedPairs) -> FloatArray:
    """The true utilities of the judged pictures, each for the prompt that it was judged for."""
    prompts = [judgment.prompt for judgment in user.judgments]
    return np.asarray(truth.utility(user.user, prompts, user.pixels)["total"])


def answers_for_nobody(
    scorer: Scorer, histories: Sequence[History], users: Sequence[JudgedPairs]
) -> Sequence[FloatArray]:
    """The answers with histories that are empty; all equal, which is to guess, of a scorer that refuses them."""
    try:
        first = answers(scorer, histories[:1], users[:1])
    except PluginError:
        raise
    except PrefbenchError:
        return [np.full(len(user.judgments), 0.5) for user in users]
    return [*first, *answers(scorer, histories[1:], users[1:])]


def _swapped(scorer: Scorer, histories: Sequence[History], order: NDArray[np.int64]) -> list[History]:
    """Other users' histories. What is learned across people stays the same: it leaves out who is asked about."""
    others = [histories[i] for i in order]
    if not isinstance(scorer, CrossFittedScorer):
        return others
    return [replace(other, user=own.user) for other, own in zip(others, histories, strict=True)]


def _voted(users: Sequence[JudgedPairs]) -> FloatArray:
    """For each pair whether most other people who judged both of its pictures chose as the user did."""
    chosen = [{(user.digest(a), user.digest(b)) for a, b in user.pairs} for user in users]
    votes = Counter(pair for own in chosen for pair in own)
    right = []
    for user, own in zip(users, chosen, strict=True):
        for a, b in ((user.digest(a), user.digest(b)) for a, b in user.pairs):
            agree, differ = (votes[pair] - (pair in own) for pair in ((a, b), (b, a)))
            right.append((np.sign(agree - differ) + 1) / 2 if agree or differ else np.nan)
    return np.array(right)


def _again(users: Sequence[JudgedPairs], suite: Suite, split: Split) -> FloatArray:
    """For each pair whether the user chose the same the other time; 0.5 where both were judged alike."""
    known = {user.id for user in suite.users(split)}
    values = [_values(suite.history(user.user)) if user.user in known else {} for user in users]
    return accuracies(
        [
            np.array([said.get(j.picture.digest, np.nan) for j in u.judgments])
            for said, u in zip(values, users, strict=True)
        ],
        users,
    )


def _values(history: History) -> dict[str, float]:
    judged = [*history.liked, *history.disliked]
    return {j.picture.digest: float(j.liked) if j.rating is None else j.rating for j in judged}


def _by_size(
    scorer: Scorer, histories: Sequence[History], users: Sequence[JudgedPairs], wanted: Sequence[int]
) -> dict[int, FloatArray]:
    """Accuracy with less of the history, for sizes that half of the histories exceed."""
    most = float(np.median([len(_units(history)) for history in histories])) if scorer.card.personal else 0
    sizes = [size for size in wanted if size < most]
    return {
        size: accuracies(answers(scorer, [shortened(history, size) for history in histories], users), users)
        for size in sizes
    }


def shortened(history: History, size: int) -> History:
    """So many pairs of a history, or judgments where it has no pairs, in equal parts; always the same random ones."""
    units = _units(history)
    order = np.random.default_rng([*history.user.encode()]).permutation(len(units))
    kept = {id(judgment) for n in order[:size] for judgment in units[n]}
    sides = ([j for j in side if id(j) in kept] for side in (history.liked, history.disliked))
    return History(history.user, *map(tuple, sides))


def _units(history: History) -> list[list[Judgment]]:
    """The pairs of a history; a judgment without a pair is one by itself."""
    pairs: dict[str, list[Judgment]] = {}
    for n, judgment in enumerate([*history.liked, *history.disliked]):
        pairs.setdefault(f"pair {judgment.pair}" if judgment.pair else f"judgment {n}", []).append(judgment)
    return list(pairs.values())
