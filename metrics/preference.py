"""`preference`: a learned scorer's P(liked) of an image under its own user, beside that under other users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from prefbench.api import (
    CrossFittedScorer,
    DrawnImages,
    Features,
    History,
    ImageMetric,
    MetricCard,
    PrefbenchError,
    Scored,
    Scorer,
)
from prefbench.registry import make

OTHERS = 8
"""Other users that every image is judged under: those that follow its own in the suite's order."""


def preference_card(name: str, by: str, source: str | None = None) -> MetricCard:
    """The card of `preference` by another scorer."""
    return MetricCard(
        name=name,
        version="2",
        summary=f"P(liked) under the own user, by {by}; /gain is that minus P(liked) under other users",
        question="preference",
        direction="up",
        unit="image",
        recipe=f"own-user,gain-over-{OTHERS}-next-users,scorer-part,original-prompt",
        bounds=(-1.0, 1.0),
        scale="a probability; of /gain 0 is chance: the own user is as likely to like it as any other",
        source=source,
        asks_histories=("scorer",),
        undirected=(f"{name}/others",),
    )


class Preference(ImageMetric):
    """P(liked) of an image under its own user, for its original prompt: 0 to 1, higher is better.

    The scorer reads those judgments of each user that no method sees. An image that does not show its prompt is not
    liked. One that everybody likes is: how much of the value is this user's alone says `preference/gain`, which is
    less the mean of P(liked) under other users, -1 to 1; 0 is an image that suits its user no better than others.

    Columns: `preference`, `preference/gain` and `preference/others`. None where the user has no such judgments; of the
    gain and of others also where every other user has none.

    What can go wrong: the scorer is easily played. From P(liked) of `prompt-only` to that of `inferred`, noise of 4, 8
    and 16 levels of 255 along its gradient takes it 0.82, 1.13, 1.31 of the way
    (`benchmarks/results/instrument-noise.json`); `prefbench audit` looks for such noise.
    """

    card: ClassVar[MetricCard] = preference_card("preference", "prefbench's own scorer")

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer that is registered under the metric's name."""
        scorer: Scorer = make("scorer", self.card.name)
        return scorer

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One value per sample and column. Raises `PrefbenchError` without judgments, or as the scorer does."""
        histories = drawn.evidence.histories.get("scorer")
        if not histories:
            raise PrefbenchError(f"{self.card.name} needs the judgments that no method sees; the suite has none")
        own, others = np.full(len(drawn.samples), np.nan), np.full(len(drawn.samples), np.nan)
        for user in dict.fromkeys(sample.user for sample in drawn.samples):
            rows = [i for i, sample in enumerate(drawn.samples) if sample.user == user]
            mine = [drawn.samples[i] for i in rows]
            own[rows] = self._liked(histories[user], mine)
            if strangers := self._strangers(user, histories):
                others[rows] = np.mean([self._liked(other, mine) for other in strangers], axis=0)
        return {
            f"{self.card.name}{part}": [float(v) if np.isfinite(v) else None for v in values]
            for part, values in self._parts(own, others).items()
        }

    def _parts(self, own: Features, others: Features) -> Mapping[str, Features]:
        """What follows the metric's name in each column, to its values (N,)."""
        return {"": own, "/gain": own - others, "/others": others}

    def _strangers(self, user: str, histories: Mapping[str, History]) -> Sequence[History]:
        """Histories of others. Of what is learned across people the image's own user stays left out."""
        others = _others(user, histories)
        if isinstance(self.scorer, CrossFittedScorer):
            return [replace(other, user=user) for other in others]
        return others

    def _liked(self, history: History, samples: Sequence[Scored]) -> Features:
        if not len(history):
            return np.full(len(samples), np.nan)
        return self.scorer.score(history, [s.category or s.prompt for s in samples], [s.pixels for s in samples])


class ViperProxyMetric(Preference):
    """`preference` by ViPer's proxy metric, which learned to tell users apart and never a user's own dislikes."""

    card = preference_card("viper-proxy", "ViPer's proxy metric (Idefics2)", "https://arxiv.org/abs/2407.17365")


class LearnUserPrefMetric(Preference):
    """`preference` by learn-user-pref, which orders 61.7 % of real users' pairs as they did, by its authors' count."""

    card = preference_card("learn-user-pref", "learn-user-pref (Idefics2)", "https://arxiv.org/abs/2508.08220")


def _others(user: str, histories: Mapping[str, History]) -> list[History]:
    """Histories with judgments of the users who follow in the suite's order, which wraps around."""
    users = list(histories)
    index = users.index(user)
    following = [users[(index + step) % len(users)] for step in range(1, len(users))]
    return [histories[other] for other in following if len(histories[other])][:OTHERS]
