"""`style`: how much closer an image's style is to its user's likes than to other users' likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from prefbench.api import DrawnImages, ImageMetric, MetricCard

from .shared.checks import feature_rows
from .shared.columns import as_columns
from .shared.likeness import decorrelated_likes, likeness
from .shared.per_run import cached_per_run


class StyleLikeness(ImageMetric):
    """100 x (mean cosine to the user's own held-out likes - that to other users'), of a descriptor of style.

    As `clip-i`, on the extractor with the role `style`. Its features may have different units and be redundant, so
    before cosines are taken they are standardised and decorrelated over all held-out likes of the run, as far as these
    determine it (`likeness.decorrelated_likes`): the number depends on these users.

    -200 to 200, 0 for an image that suits its user no better than others. Columns: `style`, `style/own` and
    `style/others`, the two parts.

    What can go wrong: statistics of colour and texture are no style where style is line, medium or composition, and
    they respond to content that has a colour. Published numbers use CSD (Somepalli et al. 2024), which no suite names
    yet. A copied like wins.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="style",
        version="1",
        summary="100 x cosine of style to the user's own held-out likes, less that to other users'",
        question="preference",
        direction="up",
        unit="image",
        recipe="inverse-root-of-correlation+1-over-held-out-likes,100cos,mean-over-held-out-likes,minus-mean-over-all-other-users",
        bounds=(-200.0, 200.0),
        source="https://arxiv.org/abs/2404.01292",
        asks_histories=("scorer",),
        undirected=("style/others",),
        won_by=("copy",),
        won_how="a copy has the style of the likes, whatever the prompt",
    )
    extractor: ClassVar[str | None] = "style"

    def __init__(self) -> None:
        self._likes = cached_per_run(decorrelated_likes)

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """Three columns; None for users without held-out likes. Raises `PrefbenchError` without features."""
        rows = feature_rows(self.card.name, "style", drawn.samples, drawn.features)
        return as_columns(self.card.name, likeness(drawn.samples, rows, self._likes(drawn.evidence)))
