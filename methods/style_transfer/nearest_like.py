"""`nearest-like`: the style of the most typical like."""

from __future__ import annotations

import numpy as np

from prefbench.api import Features, History, MethodCard

from .redrawing import StyleMethod


class NearestLike(StyleMethod):
    """The style nearest to the mean style of all likes, of a liked picture; without likes the content's own."""

    card = MethodCard(
        name="nearest-like",
        version="1",
        summary="the content in the style of the user's most typical like",
        uses_disliked=False,
        backbone_kind="style-transfer",
    )

    def style(self, history: History) -> Features | None:
        return most_typical(self.styles_of(history.liked)) if history.liked else None


def most_typical(styles: Features) -> Features:
    """The row nearest to the mean of all; the first of several.

    Example:
        >>> most_typical(np.array([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]))
        array([1., 1.])
    """
    row: Features = styles[np.square(styles - styles.mean(axis=0)).sum(axis=1).argmin()]
    return row
