"""`diversity`: how different the images are that one user gets for one prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from prefbench.api import DrawnImages, ImageMetric, MetricCard

from .shared.checks import feature_rows
from .shared.columns import as_columns
from .shared.cosines import normalised


class Diversity(ImageMetric):
    """The mean of 1 - cos of a sample with the other samples of its user and prompt.

    0 for equal images, at most 2, higher is more diverse. None where a sample is alone: a run needs at least two
    samples per case. Its mean does not depend on how many there are, unlike counts of distinct images.

    More is not better by itself: noise, artefacts and ignoring the prompt all raise it. Read it beside prompt fidelity
    and preference: a method that draws one liked style for everything has little diversity.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="diversity",
        version="1",
        summary="Mean cosine distance to the other images of the same user and prompt",
        question="side",
        direction="up",
        unit="image",
        recipe="1-cos,same-user-and-prompt,self-excluded",
        bounds=(0.0, 2.0),
        won_by=("random-style", "copy"),
        won_how="pictures that differ at random are diverse, too",
    )
    extractor: ClassVar[str | None] = "similarity"

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One column. Raises `PrefbenchError` without features."""
        rows = normalised(feature_rows(self.card.name, "similarity", drawn.samples, drawn.features))
        cases: dict[tuple[str, str], list[int]] = {}
        for i, sample in enumerate(drawn.samples):
            if np.isfinite(rows[i]).all():
                cases.setdefault((sample.user, sample.prompt), []).append(i)
        values = np.full(len(drawn.samples), np.nan)
        for mine in cases.values():
            if len(mine) > 1:
                distances = (1 - rows[mine] @ rows[mine].T).clip(0, 2)
                np.fill_diagonal(distances, 0)
                values[mine] = distances.sum(axis=1) / (len(mine) - 1)
        return as_columns(self.card.name, {"total": values})
