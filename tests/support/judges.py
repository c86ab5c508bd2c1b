"""Pairwise judges whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from prefbench.api import Features, History, PairScorer, Pixels, ScorerCard


class Brighter(PairScorer):
    """Prefers the brighter picture, and by `lean` the one in the first place; counts what it is asked."""

    card = ScorerCard(
        name="brighter",
        version="1",
        summary="the brighter picture",
        licence="none",
        personal=False,
        encoders=(),
        trained_on=(),
    )
    asked = 0

    def __init__(self, lean: float = 0.0) -> None:
        self.lean = lean

    @property
    def id(self) -> str:
        return f"{self.card.name}@1[{self.lean:g}]@{'0' * 64}"

    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        del history
        type(self).asked += len(prompts)
        margin = [float(a.mean()) - float(b.mean()) for a, b in zip(first, second, strict=True)]
        return np.asarray(expit(np.array(margin) / 20 + self.lean))


class Stranger(Brighter):
    """Prefers what is nearer to the mean colour of the user's likes."""

    card = replace(Brighter.card, name="stranger", summary="the nearer colour", personal=True)

    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        del prompts
        if not history.liked:
            return np.full(len(first), 0.5)
        liked = np.mean([np.asarray(j.picture.load(), float).mean((0, 1)) for j in history.liked], axis=0)
        far = [[np.abs(p.mean((0, 1)) - liked).sum() for p in side] for side in (first, second)]
        return np.asarray(expit((np.array(far[1]) - np.array(far[0])) / 50))
