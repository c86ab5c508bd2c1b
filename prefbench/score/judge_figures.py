"""Accuracy and position bias of a pairwise judge on held-out users, and whether they admit it to rankings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefbench.api import History, PairScorer, PrefbenchError, Split, Suite
from prefbench.api.errors import PluginError
from prefbench.api.guard import guarded, module_of
from prefbench.score.both_orders import BothOrders, ask_in_both_orders
from prefbench.score.figures import Interval, ScorerFigures
from prefbench.score.scorer_figures import as_scores, difference_of, mean_of
from prefbench.score.scorer_pairs import JudgedPairs, derangements, judged_pairs

_NONE = Interval(None, None, None)
_NOBODY = History("nobody", (), ())


def measure_judge(judge: PairScorer, suite: Suite, *, split: Split = "test", permutations: int = 1) -> ScorerFigures:
    """Measures a judge on the pairs that a scorer is measured on, each asked in both orders.

    Given the part of the judgments that only scorers see, it is asked about the part that methods see: with the user's
    own history, with none, and with other users'. Answers that differ between the orders are half right. There is no
    calibration, which is of single pictures.

    Args:
        judge: what is measured.
        suite: whose judgments it is asked about.
        split: of the users; none that it was trained on.
        permutations: how many times every user is given another user's history; `mismatched` is the first of them.

    Raises:
        PrefbenchError: fewer than 3 users with pairs, or what the judge raises.
    """
    users = judged_pairs(suite, split)
    histories = [suite.history(user.user, "scorer") for user in users]
    own = _asked(judge, histories, users)
    others = [_asked(judge, [histories[i] for i in order], users) for order in derangements(len(users), permutations)]
    answers = {"own": own, "population": _for_nobody(judge, users), "mismatched": others[0]}
    scores = {name: as_scores(asked.wins, users) for name, asked in answers.items()}
    scores["permuted"] = as_scores(np.mean([asked.wins for asked in others], axis=0), users)
    return ScorerFigures(
        scorer=judge.id,
        suite=suite.card.name,
        split=split,
        n_users=len({user.user for user in users}),
        n_pairs=len(own.wins),
        within_user_accuracy=mean_of(scores["own"]),
        within_user_auc=_NONE,
        population=mean_of(scores["population"]),
        mismatched=mean_of(scores["mismatched"]),
        permuted=mean_of(scores["permuted"]),
        best_possible=_NONE,
        above_population=difference_of(scores["own"], scores["population"]),
        above_permuted=difference_of(scores["own"], scores["permuted"]),
        brier=_NONE,
        ece=_NONE,
        reliability=(),
        position_bias=mean_of(as_scores(own.position_bias, users)),
        disagreement=mean_of(as_scores(own.differ, users)),
        digest=suite.digest,
    )


def _for_nobody(judge: PairScorer, users: Sequence[JudgedPairs]) -> BothOrders:
    """The answers with an empty history; of a judge that refuses it 0.5 for all, which is to guess."""
    pixels, prompt = users[0].pixels, users[0].judgments[0].prompt
    try:
        with guarded(f"scorer {judge.card.name!r}", "prefer_first", module=module_of(judge)):
            judge.prefer_first(_NOBODY, [prompt], pixels[:1], pixels[1:2])
    except PluginError:
        raise
    except PrefbenchError:
        even = np.full(sum(len(user.pairs) for user in users), 0.5)
        return BothOrders(even, even)
    return _asked(judge, [_NOBODY] * len(users), users)


def _asked(judge: PairScorer, histories: Sequence[History], users: Sequence[JudgedPairs]) -> BothOrders:
    """The answers about all pairs, the liked picture first in each."""
    asked = []
    for history, user in zip(histories, users, strict=True):
        liked, disliked = ([user.pixels[row] for row in rows] for rows in user.pairs.T)
        prompts = [user.judgments[row].prompt for row in user.pairs[:, 0]]
        asked.append(ask_in_both_orders(judge, history, prompts, liked, disliked))
    return BothOrders(
        np.concatenate([one.shown_first for one in asked]), np.concatenate([one.shown_second for one in asked])
    )
