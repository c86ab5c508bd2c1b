"""`pickscore`, `hpsv2`, `imagereward`: published scorers of what most people like. They read no history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from prefbench.api import DrawnImages, History, ImageMetric, MetricCard, Scorer
from prefbench.registry import make

_NOBODY = History("nobody", (), ())


def _card(name: str, by: str, source: str) -> MetricCard:
    return MetricCard(
        name=name,
        version="1",
        summary=f"What most people would like, by {by}; no probability, compare within one prompt",
        question="preference",
        direction="up",
        unit="image",
        recipe="logistic-of-score-minus-anchor,original-prompt",
        bounds=(0.0, 1.0),
        source=source,
    )


class _Crowd(ImageMetric):
    """A generic scorer's value of the drawn image and its original prompt, 0 to 1, higher is better; see `CrowdScorer`.

    Ranks no method: it cannot tell whom an image is for. An image that everybody likes wins under every user.
    """

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer that is registered under the metric's name."""
        scorer: Scorer = make("scorer", self.card.name)
        return scorer

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One column. Raises `PrefbenchError` where the weights are absent."""
        values = self.scorer.score(_NOBODY, [s.prompt for s in drawn.samples], [s.pixels for s in drawn.samples])
        return {self.card.name: [float(value) for value in values]}


class PickScoreMetric(_Crowd):
    """PickScore, trained on Pick-a-Pic's pairs (Kirstain et al. 2023)."""

    card: ClassVar[MetricCard] = _card("pickscore", "PickScore", "https://arxiv.org/abs/2305.01569")


class HpsV2Metric(_Crowd):
    """HPS v2.1, trained on HPD v2 (Wu et al. 2023)."""

    card: ClassVar[MetricCard] = _card("hpsv2", "HPS v2.1", "https://arxiv.org/abs/2306.09341")


class ImageRewardMetric(_Crowd):
    """ImageReward (Xu et al. 2023)."""

    card: ClassVar[MetricCard] = _card("imagereward", "ImageReward", "https://arxiv.org/abs/2304.05977")
