"""`utility`: the true utility of an image to the user it was drawn for, in suites that know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from prefbench.api import DrawnImages, ImageMetric, MetricCard, PrefbenchError

from .shared.columns import as_columns, rows_of_users


class Utility(ImageMetric):
    """The user's true utility of the image: 0 is the mean of random images, 1 the best; higher is better.

    So it is where the prompt names no style. Where picturebook's names a style word, the mean of random images is
    another and the best may be below 1.

    By the user's taste on what the prompt is of. An axis that the prompt itself names counts as the prompt asks,
    whatever is drawn, so that nobody gains by ignoring prompts; `prompt-fidelity` measures whether it was drawn.

    What can go wrong: for all else it ignores the prompt: a copied like has a high utility. `utility/liked` does not:
    it is, but for picturebook's first world, the probability, 0 to 1, that the image shows its prompt and that its user
    would rate one of this utility 4 or 5 of 5. `preference` estimates it.

    Columns: `utility`, and `utility/<group>` for every part that the suite's truth names: in picturebook groups of
    axes, and but for its first world also `crowd` (the taste that all share, alone), `own` (the rest, alone),
    `quality` (what defects cost; missing where the reader reads none) and `liked`; of several readers also
    `disagreement`.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="utility",
        version="2",
        summary="True utility of the image to its user; 0 random, 1 the best there is",
        question="preference",
        direction="up",
        unit="image",
        recipe="suite-truth",
        scale="0 is the mean over random images, 1 the best there is for the user",
        bounds=(None, 1.0),
        asks_truth=True,
        won_by=("copy",),
        won_how="it does not look at the prompt",
    )

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One value per sample and column; None where it is not finite. Raises `PrefbenchError` without a truth."""
        if drawn.evidence.truth is None:
            raise PrefbenchError("utility needs a suite that knows the truth; this one does not")
        parts = ["total", *drawn.evidence.truth.groups]
        table = np.full((len(parts), len(drawn.samples)), np.nan)
        for user, rows in rows_of_users(drawn.samples).items():
            own = [drawn.samples[i] for i in rows]
            utilities = drawn.evidence.truth.utility(user, [s.prompt for s in own], [s.pixels for s in own])
            table[:, rows] = [utilities[part] for part in parts]
        return as_columns(self.card.name, dict(zip(parts, table, strict=True)))
