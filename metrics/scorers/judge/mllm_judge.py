"""`mllm-judge`: a language model sees what a person liked and disliked, and says which of two pictures they prefer.

Such judges are what much of the field reports. They were found to name the best and worst picture of a set in 26.5 % of
sets where experts do in 68.9 % (Visual Aesthetic Benchmark, arXiv 2605.12684, reported by its authors), and to follow
the place of a picture; so `prefbench` asks in both orders, and measures them on people before they rank anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from prefbench.api import (
    Features,
    History,
    Judgment,
    PairScorer,
    Pixels,
    PrefbenchError,
    ScorerCard,
    UnreadableImageError,
)
from prefbench.registry import load, names

if TYPE_CHECKING:
    from prefbench.models.mllms.conversation import Conversation, Part
    from prefbench.models.mllms.model import Mllm

ANSWERS = ("First", "Second")
_QUESTION = "Both were drawn for '{prompt}'. Which one would this person like better? Answer First or Second."
_PLAIN = "Which one would this person like better? Answer First or Second."


class MllmJudge(PairScorer):
    """P("First") among "First" and "Second", after pictures that the person liked and disliked and the two in question.

    What can go wrong: the number belongs to the model; compare methods under one model only. A model that was not
    taught such questions (`mini-mllm` was not) answers at random or always with one place: its card says so once it was
    measured (`prefbench show scorer mllm-judge --measure SUITE`).

    Args:
        mllm: a registered language model, or a folder of one; loaded at the first question.
        examples: the latest liked and the latest disliked pictures that it is shown, each.
        batch: questions that go through the model at once.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name="mllm-judge",
        version="1",
        summary="which of two pictures a person prefers, by a language model that is shown their likes and dislikes",
        licence="that of the language model",
        personal=True,
        encoders=("Qwen/Qwen2.5-VL-7B-Instruct",),
        trained_on=("what its language model was trained on",),
        scale="the model's probability of answering First rather than Second",
        caveats=("it follows the place of a picture: ask in both orders", "never taught what one person likes"),
    )

    def __init__(
        self, *, mllm: str = "qwen2.5-vl-7b", examples: int = 4, batch: int = 1, device: str | None = None
    ) -> None:
        for name, value in (("examples", examples), ("batch", batch)):
            if value < 1:
                raise PrefbenchError(f"scorer {self.card.name!r}: {name} is at least 1, got {value}")
        self.mllm, self.examples, self.batch, self.device = mllm, examples, batch, device
        # Which model answers decides whom it may judge, so the card of this judge, not of the class, names it.
        encoder = load("mllm", mllm).source if mllm in names("mllm") else Path(mllm).name
        self.card = replace(type(self).card, encoders=(encoder,))  # type: ignore[misc]

    @cached_property
    def id(self) -> str:
        """Name, version, model and SHA-256 of its weights. Raises `PrefbenchError` where they are absent."""
        recipe = f"{Path(self.mllm).name},examples={self.examples}"
        return f"{self.card.name}@{self.card.version}[{recipe}]@{self._model.digest}"

    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        """P("First") (N,) over both words. Raises `PrefbenchError` for an absent model or an unreadable picture."""
        if not prompts:
            return np.empty(0)
        shown = self._shown(history)
        questions = [self._question(shown, *pair) for pair in zip(prompts, first, second, strict=True)]
        answers = self._model.first_words(questions, ANSWERS, batch=self.batch)
        return np.asarray(answers[:, 0].double().numpy())

    def _question(self, shown: Sequence[Part], prompt: str, first: Pixels, second: Pixels) -> Conversation:
        from prefbench.models.mllms.conversation import ask

        pair: list[Part] = ["The first picture:", Image.fromarray(first)]
        pair += ["The second picture:", Image.fromarray(second)]
        return [ask(*shown, *pair, _QUESTION.format(prompt=prompt) if prompt else _PLAIN)]

    def _shown(self, history: History) -> list[Part]:
        parts: list[Part] = []
        for label, side in (("liked", history.liked), ("disliked", history.disliked)):
            for judgment in side[-self.examples :]:
                parts += [f"A picture that this person {label}:", _picture(judgment)]
        return parts

    @cached_property
    def _model(self) -> Mllm:
        from prefbench.models.mllms.loader import load_mllm

        return load_mllm(self.mllm, device=self.device)


def _picture(judgment: Judgment) -> Image.Image:
    try:
        return judgment.picture.load()
    except UnreadableImageError as error:
        raise PrefbenchError(f"scorer 'mllm-judge': a judged picture cannot be read: {error}") from error
