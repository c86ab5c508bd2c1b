"""`textual-inversion`: one learned token per user (Textual Inversion, Gal et al. 2022, arXiv 2208.01618)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from prefbench.api import Backbone, Context, Drawing, History, Method, MethodCard, PrefbenchError, Profile, Request
from prefbench.models.backbones.texts import tokenizers_of

from .shared.latents import Embeds, embed
from .shared.tuning import IDENTIFIER, LikesTuner, freeze, with_identifier


class TextualInversion(Method):
    """Learns what the word for a user means from a few dozen noisy looks at what the user liked; no weight is changed.

    The word is `*` behind the prompt; one in a prompt stands for the user too. Its input embedding, one per text
    encoder, is all that is kept of a user.

    Args:
        strength: the way from the prompt's embedding to that with the word: 0 draws the prompt alone, over 1 goes on.
        steps: of training, for every user.
        rate: its learning rate.
        batch: liked pictures per step.
    """

    card = MethodCard(
        name="textual-inversion",
        version="1",
        summary="one word per user, trained for every user on what they liked, behind the prompt",
        paper="arXiv 2208.01618",
        uses_disliked=False,
        uses_prompts=True,
        training="per user",
    )

    def __init__(self, *, strength: float = 1.0, steps: int = 40, rate: float = 0.05, batch: int = 4) -> None:
        if not 0 <= strength < float("inf"):
            raise PrefbenchError(f"strength must be 0 or more and finite, got {strength}")
        if not 0 < rate < float("inf"):
            raise PrefbenchError(f"rate must be over 0 and finite, got {rate}")
        for name, value in (("steps", steps), ("batch", batch)):
            if value < 1:
                raise PrefbenchError(f"{name} must be at least 1, got {value}")
        self.strength, self.steps, self.rate, self.batch = strength, steps, rate, batch

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` where the word is no single token."""
        super().setup(context)
        freeze(context.backbone)
        self.tuner = LikesTuner(context.backbone, steps=self.steps, rate=self.rate, batch=self.batch)
        self.words = _words(context.backbone)

    def profile(self, history: History) -> Profile:
        """The word's embedding (D,) for each text encoder; none without likes."""
        if not history.liked:
            return Profile(history.user, [])
        vectors = [word.start().requires_grad_() for word in self.words]
        self._set_words(vectors)
        self.tuner.train(history, vectors, lambda prompts: embed(self.context.backbone, prompts)[0])
        learned = [vector.detach().cpu() for vector in vectors]
        return Profile(history.user, learned, sum(vector.numel() for vector in learned))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        backbone = self.context.backbone
        rows = [self._embedded(request) for request in requests]
        embeds: dict[str, Any] = {name: torch.cat([row[name] for row in rows]) for name in rows[0]} if rows else {}
        seeds = [request.seed for request in requests]
        images = backbone.generate([request.prompt for request in requests], seeds, **embeds)
        prompts = [with_identifier(r.prompt) if r.profile.payload and self.strength else r.prompt for r in requests]
        return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]

    @torch.no_grad()
    def _embedded(self, request: Request) -> Embeds:
        """One prompt's embeddings, encoded alone, so that they do not depend on its neighbours."""
        plain = embed(self.context.backbone, [request.prompt])[0]
        if not request.profile.payload or not self.strength:
            return plain
        self._set_words(request.profile.payload)
        named = embed(self.context.backbone, [with_identifier(request.prompt)])[0]
        return {name: torch.lerp(plain[name], named[name], self.strength) for name in plain}

    def _set_words(self, vectors: Sequence[Tensor]) -> None:
        """Lets the word mean this."""
        for word, vector in zip(self.words, vectors, strict=True):
            word.vector = vector


class _Word:
    """The input embedding of one token of a text encoder, put in the place of the encoder's own."""

    def __init__(self, tokenizer: Any, encoder: Any) -> None:
        ids = tokenizer(IDENTIFIER, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise PrefbenchError(f"textual-inversion needs a tokenizer that reads {IDENTIFIER!r} as one token")
        self.id, self.layer = int(ids[0]), encoder.get_input_embeddings()
        self.vector: Tensor | None = None
        self.layer.register_forward_hook(self._replaced)

    def start(self) -> Tensor:
        """What training begins from: the mean of all tokens, in float32."""
        mean: Tensor = self.layer.weight.detach().float().mean(0)
        return mean

    def _replaced(self, _: Any, given: tuple[Tensor], rows: Tensor) -> Tensor:
        if self.vector is None:
            return rows
        return torch.where((given[0] == self.id)[..., None], self.vector.to(rows), rows)


def _words(backbone: Backbone) -> list[_Word]:
    pipeline = backbone.pipeline
    encoders = [getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2")]
    return [_Word(*pair) for pair in zip(tokenizers_of(pipeline), filter(None, encoders), strict=True)]
