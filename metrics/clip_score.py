"""`clip-score`: how well an image fits the prompt that it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from prefbench.api import DrawnImages, Features, ImageMetric, MetricCard, PrefbenchError, counted


class ClipScore(ImageMetric):
    """100 cos(image, text) of the ORIGINAL prompt, whatever prompt a method really used (Hessel et al. 2021).

    -100 to 100, higher is better; not clamped at 0 and not scaled by 2.5, as the paper's is. Numbers of different
    extractors do not compare; the extractor's id stands with the score.

    What can go wrong: colours and styles that the encoder seldom saw lower it although the prompt names none, and a
    prompt's words count as a bag more than as a sentence. Words behind the encoder's last token (the 77th, the 32nd
    of `mini-clip`) are not read; the report says of how many prompts. It is easily played: noise of 4, 8 and 16 levels
    of 255 along its gradient raises 73.3 of `prompt-only` to 84.1, 90.1, 94.9
    (`benchmarks/results/instrument-noise.json`); `prefbench audit` looks for such noise.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="clip-score",
        version="1",
        summary="100 x cosine of image and original prompt",
        question="adherence",
        direction="up",
        unit="image",
        recipe="100cos,original-prompt,unclamped",
        bounds=(-100.0, 100.0),
        source="https://arxiv.org/abs/2104.08718",
    )
    extractor: ClassVar[str | None] = "text"

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One column; None where a feature vector has no direction.

        Raises:
            PrefbenchError: no features, or no text vector for a prompt.
        """
        if drawn.features is None or len(drawn.features) != len(drawn.samples):
            raise PrefbenchError("clip-score needs one feature row per sample; give the suite a `text` extractor")
        unknown = sorted({s.prompt for s in drawn.samples} - set(drawn.evidence.text_features))
        if unknown:
            prompts = counted(len(unknown), "prompt")
            raise PrefbenchError(f"clip-score has no text features for {prompts}, such as {unknown[0]!r}")
        texts, pairs = drawn.evidence.text_features, zip(drawn.samples, drawn.features, strict=True)
        values = [100 * _cosine(features, texts[sample.prompt]) for sample, features in pairs]
        return {self.card.name: [value if np.isfinite(value) else None for value in values]}


def _cosine(a: Features, b: Features) -> float:
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 else float("nan")
