"""A scorer that likes light pictures more, the more so the more of the history is liked: for methods that ask one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefbench.api import Features, History, Pixels, Scorer, ScorerCard


class Brightest(Scorer):
    card = ScorerCard("brightest", "1", "lightness", "Apache-2.0", True, (), ("tiny:scorer",))

    @property
    def id(self) -> str:
        return "brightest 1"

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        assert len(prompts) == len(pictures)
        sign = 1 if len(history.liked) >= len(history.disliked) else -1
        return np.array([0.5 + sign * (float(picture.mean()) / 255 - 0.5) for picture in pictures])


class Undecided(Brightest):
    """Gives no number."""

    @property
    def id(self) -> str:
        return "undecided 1"

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        return super().score(history, prompts, pictures) * np.nan
