"""A metric of one's own: how colourful pictures are.

prefbench check metric examples/colourfulness.py:Colourfulness
prefbench run --method prompt-only --users 5 --metrics examples/colourfulness.py:Colourfulness,utility
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prefbench.api import DrawnImages, ImageMetric, MetricCard, Pixels


def colourfulness(pixels: Pixels) -> float:
    """Hasler & Süsstrunk 2003, equation 18: spread and distance from gray of the two opponent channels.

    Args:
        pixels: uint8 (H, W, 3).

    Returns:
        0 for gray, near 109 for what people called extremely colourful.

    Example:
        >>> colourfulness(np.full((4, 4, 3), 128, dtype=np.uint8))
        0.0
    """
    red, green, blue = np.moveaxis(pixels.astype(np.float64), -1, 0)
    opponents = red - green, (red + green) / 2 - blue
    spread = np.hypot(*(channel.std() for channel in opponents))
    distance = np.hypot(*(channel.mean() for channel in opponents))
    return float(spread + 0.3 * distance)


class Colourfulness(ImageMetric):
    """The mean colourfulness of drawn pictures. It asks nothing of the user, so it says nothing about preference."""

    card = MetricCard(
        name="colourfulness",
        version="1",
        summary="how colourful drawn pictures are, whoever they are for",
        question="side",
        direction="up",
        unit="image",
        recipe="rg, yb opponents; spread + 0.3 distance from gray",
        bounds=(0.0, None),
        source="Hasler & Süsstrunk 2003",
        won_by=("random-style",),
    )

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        return {"colourfulness": [colourfulness(sample.pixels) for sample in drawn.samples]}
