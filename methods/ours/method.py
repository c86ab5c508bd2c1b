"""`ours` as a method: histories to user vectors once a user, prompts to images through the second cross-attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from prefbench.api import Context, Features, Method, MethodCard, PrefbenchError
from prefbench.records import Drawing, History, Profile, Request

from . import weights
from .questions import Shown, taste_question
from .vectors import join, most_typical


class PrefGen(Method):
    """PrefGen: user tokens from a language model's hidden states, beside the prompt's.

    Args:
        user_scale: weight of the second cross-attention; 0 draws the prompt alone.
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
    )

    def __init__(
        self,
        *,
        user_scale: float = 1.0,
        user_guidance: float = 3.0,
        negative: Literal["average", "disliked"] = "disliked",
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

    def profile(self, history: History) -> Profile:
        """The user vector (F,), and with `negative=disliked` the opposite user's."""
        vectors = [self._vector(history)]
        if self.negative == "disliked":
            vectors.append(self._vector(History(history.user, history.disliked, history.liked)))
        return Profile(history.user, torch.stack(vectors))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        vectors = torch.stack([request.profile.payload for request in requests]).to(backbone.device)
        wanted = vectors[:, :1]
        avoided = vectors[:, 1:] if self.negative == "disliked" else torch.zeros_like(wanted)
        guidance = self.user_guidance or backbone.card.guidance
        embeds = torch.cat([avoided, wanted]) if guidance > 1 else wanted
        images = backbone.generate(
            [request.prompt for request in requests],
            [request.seed for request in requests],
            ip_adapter_image_embeds=[embeds.to(backbone.dtype)],
            guidance_scale=guidance,
        )
        evaluations = backbone.evaluations_at(guidance)
        return [Drawing(i, r.prompt, evaluations) for i, r in zip(images, requests, strict=True)]

    def represent(self, history: History) -> Mapping[str, Features]:
        """The language model's states by layer and pooling, and the parts of the user vector."""
        states = self.mllm.states([taste_question(self._shown(history))])
        found = {f"last {i}": row for i, row in enumerate(states.last[0])}
        found |= {f"mean {i}": row for i, row in enumerate(states.mean[0])}
        vector = self._vector(history)
        found |= {f"e_{name}": vector[part] for name, part in self.config.widths.parts.items()}
        return {name: row.double().numpy() for name, row in found.items()}

    def _vector(self, history: History) -> Tensor:
        """Zeros, the average user, where there is nothing to read from."""
        shown = self._shown(history)
        if not shown.liked and not shown.disliked:
            return torch.zeros(self.config.widths.total)
        sem, core = self.layers.of(self.mllm.states([taste_question(shown)]))
        parts = self.config.widths.parts
        image = self.scales.mean[parts["img"]][None]
        if shown.liked:
            embeddings = self.embed_images(shown.liked)
            image = embeddings[most_typical(embeddings)][None]
        vector: Tensor = self.scales(join(sem, core, image))[0]
        return vector

    def _shown(self, history: History) -> Shown:
        return Shown.of(replace(history, disliked=()) if self.liked_only else history)
