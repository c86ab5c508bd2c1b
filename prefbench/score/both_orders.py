"""A pairwise judge asked in both orders: answers that name different pictures are a tie, and the place it favours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefbench.api import Features, History, PairScorer, Pixels, PrefbenchError, counted
from prefbench.api.guard import guarded, module_of

_TIE = 1e-6
"""Half precision and batches move the last digits: a probability this close to 0.5 prefers neither."""


@dataclass(frozen=True)
class BothOrders:
    """The answers to the same pairs in both orders."""

    shown_first: Features
    """P(first) (N,) where the first picture was shown first."""
    shown_second: Features
    """P(first) (N,) where it was shown second: 1 - P(the picture in the first place)."""

    @property
    def wins(self) -> Features:
        """(N,) 1 where both answers name the first picture, 0 where both name the second, 0.5 where they differ."""
        first, second = (
            np.where(np.abs(p - 0.5) <= _TIE, 0, np.sign(p - 0.5)) for p in (self.shown_first, self.shown_second)
        )
        return np.asarray(np.where(first == second, (first + 1) / 2, 0.5), np.float64)

    @property
    def differ(self) -> Features:
        """(N,) 1 where the answers do not name the same picture, else 0."""
        return np.asarray(self.wins == 0.5, np.float64)

    @property
    def position_bias(self) -> Features:
        """(N,) P(the picture in the first place) over both orders, minus 0.5: 0.5 always says the first, -0.5 the
        second."""
        return np.asarray((self.shown_first - self.shown_second) / 2)


def ask_in_both_orders(
    judge: PairScorer, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
) -> BothOrders:
    """Asks a judge about pairs of pictures of one prompt each, in both orders.

    Raises:
        PrefbenchError: what the judge raises, or an answer that is not one probability per pair.
    """
    if not len(prompts) == len(first) == len(second):
        raise ValueError(f"no pairs: prompts {len(prompts)}, first {len(first)}, second {len(second)}")
    forth = _asked(judge, history, prompts, first, second)
    back = _asked(judge, history, prompts, second, first)
    return BothOrders(forth, 1 - back)


def _asked(judge: PairScorer, history: History, *pairs: Sequence[Any]) -> Features:
    n, name = len(pairs[0]), f"scorer {judge.card.name!r}"
    if not n:
        return np.empty(0)
    with guarded(name, "prefer_first", module=module_of(judge)):
        answers = np.asarray(judge.prefer_first(history, *pairs))
    if answers.shape != (n,) or answers.dtype.kind not in "biuf":
        raise PrefbenchError(f"{name} answered {counted(n, 'pair')} with {answers.dtype} {answers.shape}")
    if not ((answers >= 0) & (answers <= 1)).all():
        raise PrefbenchError(f"{name} answered with {answers.min():.4g} to {answers.max():.4g}, not a probability")
    return answers.astype(np.float64)
