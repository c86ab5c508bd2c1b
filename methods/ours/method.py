"""`ours` as a method: histories to user vectors once per user, prompts to images through the second cross-attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from prefbench.api import (
    Context,
    Drawing,
    Features,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
)
from prefbench.models.mllms.model import HiddenStates

from ..shared.asking import Asking, by_layer
from ..shared.image_tower import tower_name
from ..shared.questions import Examples, likes_question
from . import weights
from .vectors import join, referred


class PrefGen(Method):
    """PrefGen: user tokens from a language model's hidden states, beside the prompt's.

    Args:
        user_scale: weight of the second cross-attention; 0 draws the prompt alone, 1 is how it was trained.
        user_guidance: guidance scale of the whole condition, prompt and user; 0 for the backbone's own.
        negative: what guidance leads away from: the `average` user, or the user's opposite, read from the same history
            with its sides exchanged (`disliked`).
        liked_only: shows the language model the liked images alone.
        weights: folder of trained weights; by default the shipped ones for the backbone.
    """

    card = MethodCard(
        name="ours",
        version="1",
        summary="PrefGen: MLLM user embeddings, aligned to the text space, through a second cross-attention",
        paper="arXiv 2512.06020",
        training="once",
        trained_on=("picturebook:train",),
        weights=("ours-mini-sd", "mini-mllm", "mini-vision"),
        encoders=("mini-mllm", "mini-vision"),
    )

    def __init__(
        self,
        *,
        user_scale: float = 1.25,
        user_guidance: float = 2.0,
        negative: Literal["average", "disliked"] = "average",
        liked_only: bool = False,
        weights: str = "",
    ) -> None:
        if not user_scale >= 0:
            raise PrefbenchError(f"user_scale must be at least 0, got {user_scale}")
        if not user_guidance >= 0:
            raise PrefbenchError(f"user_guidance must be at least 0, got {user_guidance}")
        self.user_scale, self.user_guidance = user_scale, user_guidance
        self.negative, self.liked_only, self.weights = negative, liked_only, weights

    def setup(self, context: Context) -> None:
        super().setup(context)
        backbone = context.backbone
        folder = Path(self.weights) if self.weights else weights.folder_for(backbone.card.name)
        self.config, self.adapter, self.layers, self.scales = weights.load(folder, backbone)
        self.adapter.set_scale(self.user_scale)
        self.mllm, self.embed_images = weights.load_readers(folder, self.config, backbone)
        self.asking = Asking(self.mllm)
        self._digest = weights.digest(folder, self.config, self.mllm, self.embed_images)

    @property
    def card_in_use(self) -> MethodCard:
        """The card; with weights from a folder, it names the folder: what these were trained on is unknown."""
        if not self.weights:
            return self.card
        encoders = (self.mllm.base, tower_name(self.context.backbone, self.config.image_tower))
        return replace(self.card, weights=(f"folder {Path(self.weights).name}",), encoders=encoders)

    @property
    def weights_digest(self) -> str:
        return self._digest

    def profile(self, history: History) -> Profile:
        """The user vector (F,), and with `negative=disliked` the opposite user's: (1 or 2, F)."""
        history = self._visible(history)
        examples = [Examples.of(history)]
        if self.negative == "disliked":
            examples.append(Examples.of(History(history.user, history.disliked, history.liked)))
        return Profile(history.user, self._vectors(examples, self._states(examples)))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        vectors = torch.stack([request.profile.payload for request in requests]).to(backbone.device)
        positive = vectors[:, :1]
        negative = vectors[:, 1:] if self.negative == "disliked" else torch.zeros_like(positive)
        guidance = self.user_guidance or backbone.card.guidance
        embeds = torch.cat([negative, positive]) if guidance > 1 else positive
        images = backbone.generate(
            [request.prompt for request in requests],
            [request.seed for request in requests],
            ip_adapter_image_embeds=[embeds.to(backbone.dtype)],
            guidance_scale=guidance,
        )
        nfe = backbone.nfe_at(guidance)
        return [Drawing(i, r.prompt, nfe) for i, r in zip(images, requests, strict=True)]

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        """The language model's states by layer and pooling; about the user alone, the parts of the vector too."""
        visible = self._visible(history)
        if item is not None:
            return by_layer(self.asking.at(visible, item))
        states = self.asking.about(visible)
        vector = self._vectors([Examples.of(visible)], states)[0]
        parts = {f"e_{name}": vector[part].double().numpy() for name, part in self.config.widths.parts.items()}
        return parts if states is None else by_layer(states) | parts

    def _states(self, examples: Sequence[Examples]) -> HiddenStates | None:
        """The states of the histories that are not empty; None where all are."""
        questions = [likes_question(one) for one in examples if one]
        return self.mllm.states(questions) if questions else None

    def _vectors(self, examples: Sequence[Examples], states: HiddenStates | None) -> Tensor:
        """(N, F), from what `_states` gives; zeros, the average user, where nothing is shown."""
        vectors = torch.zeros(len(examples), self.config.widths.total)
        if states is not None:
            rows = [row for row, one in enumerate(examples) if one]
            images = torch.stack([self._image(examples[row]) for row in rows])
            vectors[rows] = self.scales(join(*self.layers.of(states), images))
        return vectors

    def _image(self, examples: Examples) -> Tensor:
        """The embedding (E,) of the liked image that stands for all; the mean over training where nothing is liked."""
        if not examples.liked:
            average: Tensor = self.scales.mean[self.config.widths.parts["img"]]
            return average
        embeddings: Tensor = self.embed_images(examples.liked)
        return embeddings[referred(embeddings, self.config.reference)]

    def _visible(self, history: History) -> History:
        """The judgments that the language model is shown."""
        return replace(history, disliked=()) if self.liked_only else history
