"""`vqa-score`: the probability that a vision-language model says Yes when asked whether the image shows its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from prefbench.api import DrawnImages, ImageMetric, MetricCard

from .shared.columns import as_columns

if TYPE_CHECKING:
    from prefbench.models.mllms.model import Mllm

QUESTION = "Does this figure show '{prompt}'? Answer Yes or No."
ANSWERS = ("Yes", "No")


class VqaScore(ImageMetric):
    """P("Yes") after "Does this figure show '<prompt>'? Answer Yes or No." (Lin et al. 2024, section 3.1).

    Always of the ORIGINAL prompt, whatever prompt a method really used. 0 to 1. Normalised over the first tokens of Yes
    and No as the model begins its turn; the paper takes P("Yes") over the whole vocabulary, which is lower where a
    model prefers another answer. Reads word order and relations, which `clip-score` hardly does.

    What can go wrong: the number belongs to the model, and models are not calibrated: compare methods under one model
    only. A model that was not taught such questions (`mini-mllm` was not) gives numbers that mean nothing. Text drawn
    into the image can make it answer Yes.

    Args:
        mllm: a registered language model, or a folder of one; loaded when the first sample is scored.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="vqa-score",
        version="1",
        summary="Probability that a language model says Yes when asked whether the image shows its original prompt",
        question="adherence",
        direction="up",
        unit="image",
        recipe="yes-over-yes+no,original-prompt",
        bounds=(0.0, 1.0),
        proportion=True,
        source="https://arxiv.org/abs/2404.01291",
    )

    def __init__(self, *, mllm: str = "qwen2.5-vl-7b") -> None:
        self.mllm: str = mllm
        # Which model answers moves the number, so the recipe of this metric, not of the class, names it.
        self.card = replace(type(self).card, recipe=f"{type(self).card.recipe},{Path(mllm).name}")  # type: ignore[misc]

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One column. Raises `PrefbenchError` for a model that is absent, or a prompt with its control tokens."""
        from prefbench.models.mllms.conversation import ask

        questions = [[ask(Image.fromarray(s.pixels), QUESTION.format(prompt=s.prompt))] for s in drawn.samples]
        yes = self._mllm.first_words(questions, ANSWERS)[:, 0]
        return as_columns(self.card.name, {"total": yes.numpy().astype(np.float64)})

    @cached_property
    def _mllm(self) -> Mllm:
        from prefbench.models.mllms.loader import load_mllm

        return load_mllm(self.mllm)
