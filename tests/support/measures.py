"""Metrics for tests of the validation: one that is the truth, one that is chance, two that cannot be computed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from prefbench.api import (
    DrawnImages,
    ImageMetric,
    MetricCard,
    NotMeasurableError,
    PrefbenchError,
)


def card(name: str, *, asks_truth: bool = False) -> MetricCard:
    return MetricCard(name, "1", "", "preference", "up", "image", "", asks_truth=asks_truth)


class Twin(ImageMetric):
    """Utility, enlarged: of each user's pictures together, as `utility` asks."""

    card: ClassVar[MetricCard] = card("twin", asks_truth=True)

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        assert drawn.evidence.truth is not None
        found = [drawn.evidence.truth.utility(s.user, [s.prompt], [s.pixels])["total"][0] for s in drawn.samples]
        return {"twin": [3 * float(value) + 1 for value in found]}


class Chance(ImageMetric):
    """A number that follows from the sample's key alone."""

    card: ClassVar[MetricCard] = card("chance")

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        return {"chance": [int(hashlib.sha256(s.key.encode()).hexdigest()[-8:], 16) / 2**32 for s in drawn.samples]}


class Broken(ImageMetric):
    """Lacks its weights."""

    card: ClassVar[MetricCard] = card("broken")

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:  # noqa: ARG002
        raise PrefbenchError("broken has no weights")


class Picky(ImageMetric):
    """Means nothing for more than thirty pictures."""

    card: ClassVar[MetricCard] = card("picky")

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        if len(drawn.samples) > 30:
            raise NotMeasurableError("too many for picky")
        return {"picky": [0.5] * len(drawn.samples)}
