"""`clip-i`: how much closer an image is to its user's likes than to other users' likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from prefbench.api import DrawnImages, ImageMetric, MetricCard

from .shared.checks import feature_rows
from .shared.columns import as_columns
from .shared.likeness import held_out_likes, likeness
from .shared.per_run import cached_per_run


class ClipI(ImageMetric):
    """100 x (mean cosine to the user's own held-out likes - mean cosine to other users' held-out likes).

    Held-out likes are those that no method sees; the likes that the method was shown do not enter. The difference
    removes what every image shares with every like: by `clip-i/own` alone (the usual "CLIP-I"), a typical image beats
    one that suits only its user. Others are all other users of the run, each with the same weight, so the baseline of a
    run of few users is noisy, and a run of one user has none.

    -200 to 200; 0 is an image that suits its user no better than others. Columns: `clip-i`, `clip-i/own` and
    `clip-i/others`, the two parts; of `others`, lower is not worse. Numbers of different extractors do not compare.

    What can go wrong: an embedding counts what it sees, mostly content: users who like the same things in other styles
    look alike to it. A copied like wins while it ignores the prompt, and so can a method that repeats the objects that
    a user likes.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="clip-i",
        version="1",
        summary="100 x cosine to the user's own held-out likes, less that to other users'",
        question="preference",
        direction="up",
        unit="image",
        recipe="100cos,mean-over-held-out-likes,minus-mean-over-all-other-users",
        bounds=(-200.0, 200.0),
        source="https://arxiv.org/abs/2208.12242",
        asks_histories=("scorer",),
        undirected=("clip-i/others",),
        won_by=("copy",),
        won_how="a copy is as near to the likes as can be, whatever the prompt",
    )
    extractor: ClassVar[str | None] = "similarity"

    def __init__(self) -> None:
        self._likes = cached_per_run(held_out_likes)

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """Three columns; None for users without held-out likes. Raises `PrefbenchError` without features."""
        rows = feature_rows(self.card.name, "similarity", drawn.samples, drawn.features)
        return as_columns(self.card.name, likeness(drawn.samples, rows, self._likes(drawn.evidence)))
