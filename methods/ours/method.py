"""`ours` as a method: histories to user vectors once per user, prompts to images through the second cross-attention."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from prefbench.api import (
    Context,
    Drawing,
    Features,
    FloatArray,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
)
from prefbench.models.mllms.states import HiddenStates

from ..attribute_rewrite import read_answer
from ..shared.asking import Asking, by_layer
from ..shared.candidates import candidate_seeds
from ..shared.groups import draw_in_groups
from ..shared.image_tower import tower_name
from ..shared.phrases import beside, surest
from ..shared.questions import Examples, likes_question
from ..shared.verdicts import Verdicts
from . import weights
from .vectors import HistoryReader, join, referred

logger = logging.getLogger(__name__)


class PrefGen(Method):
    """PrefGen: user tokens from a language model's hidden states, beside the prompt's.

    Args:
        user_scale: weight of the second cross-attention; 0 draws the prompt alone, 1 is how it was trained.
        user_guidance: guidance scale of the whole condition, prompt and user; 0 for the backbone's own.
        negative: what guidance leads away from: the `average` user, or the user's opposite, read from the same history
            with its sides exchanged (`disliked`).
        liked_only: shows the language model the liked images alone.
        words: what the language model says the user likes stands in the prompt too, beside the tokens: of phrases that
            exclude each other the one that it is surest of, where the prompt leaves it open; of a model that judges no
            phrases, its answer. Phrases that it says the user dislikes stand in the negative prompt.
        sure: the verdict, P(liked) - P(disliked), from which on a phrase is among these words.
        n: drawings to choose from by the language model's own verdicts; each costs as much as the first.
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
        user_guidance: float = 3.0,
        negative: Literal["average", "disliked"] = "average",
        liked_only: bool = False,
        words: bool = False,
        sure: float = 0.1,
        n: int = 1,
        weights: str = "",
    ) -> None:
        if not user_scale >= 0:
            raise PrefbenchError(f"user_scale must be at least 0, got {user_scale}")
        if not user_guidance >= 0:
            raise PrefbenchError(f"user_guidance must be at least 0, got {user_guidance}")
        self.user_scale, self.user_guidance = user_scale, user_guidance
        if n < 1:
            raise PrefbenchError(f"n must be at least 1, got {n}")
        self.negative, self.liked_only, self.weights = negative, liked_only, weights
        if not 0 <= sure <= 1:
            raise PrefbenchError(f"sure must be from 0 to 1, got {sure}")
        self.words, self.sure, self.n = words, sure, n

    def setup(self, context: Context) -> None:
        super().setup(context)
        backbone = context.backbone
        folder = Path(self.weights) if self.weights else weights.folder_for(backbone.card.name, self.card.name)
        self.config, self.adapter, self.layers, self.scales = weights.load(folder, backbone, self.card.name)
        self.adapter.set_scale(self.user_scale)
        self.reader = self._load_reader(folder)
        self.embed_images = weights.load_image_embedder(folder, self.config, backbone, self.card.name)
        self._digest = weights.digest(folder, self.config, self.reader, self.embed_images)

    def _load_reader(self, folder: Path) -> HistoryReader:
        """What reads histories: here the language model, which also gives verdicts."""
        self.mllm = weights.load_language_model(folder, self.config, self.context.backbone)
        self.asking, self.verdicts = Asking(self.mllm), Verdicts(self.mllm)
        return self.mllm

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
        """The user vector (F,), and with `negative=disliked` the opposite user's: (1 or 2, F).

        With `words` or several drawings a dict of these `vectors`, the `words`, and what verdicts are asked `after`.
        """
        history = self._visible(history)
        examples = [Examples.of(history)]
        if self.negative == "disliked":
            examples.append(Examples.of(History(history.user, history.disliked, history.liked)))
        vectors = self._vectors(examples, self._states(examples))
        if not self.words and self.n == 1:
            return Profile(history.user, vectors)
        words, unwanted = self._said(history) if self.words else ("", "")
        told = {"vectors": vectors, "words": words, "unwanted": unwanted}
        return Profile(history.user, told | ({"after": self._kept(history)} if self.n > 1 else {}))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        """One drawing per request, the one of `n` that the language model gives the most probable yes."""
        # An empty negative prompt is on SDXL another condition than none.
        return draw_in_groups(requests, self._is_negated, self._draw) if self.words else self._draw(requests)

    def _is_negated(self, request: Request) -> bool:
        return bool(self._open(request.prompt, request.profile.payload["unwanted"]))

    def _draw(self, requests: Sequence[Request]) -> list[Drawing]:
        told = [request.profile.payload for request in requests]
        told = [one if isinstance(one, Mapping) else {"vectors": one, "words": "", "unwanted": ""} for one in told]
        likes, dislikes = (
            [self._open(r.prompt, one[side]) for r, one in zip(requests, told, strict=True)]
            for side in ("words", "unwanted")
        )
        prompts = [", ".join(filter(None, (r.prompt, words))) for r, words in zip(requests, likes, strict=True)]
        seeds = [candidate_seeds(request.seed, self.n) for request in requests]
        vectors = torch.stack([one["vectors"] for one in told])
        rounds = [self._drawn(prompts, dislikes, [own[k] for own in seeds], vectors) for k in range(self.n)]
        nfe = self.n * self.context.backbone.nfe_at(self._guidance)
        return [
            Drawing(images[self._best(one, images)], prompt, nfe)
            for one, prompt, images in zip(told, prompts, zip(*rounds, strict=True), strict=True)
        ]

    def _open(self, prompt: str, words: str) -> str:
        """A user's words; of phrases those that the prompt leaves open."""
        return beside(prompt, words, self.mllm.card.phrases) if words else ""

    def _drawn(
        self, prompts: Sequence[str], unwanted: Sequence[str], seeds: Sequence[int], vectors: Tensor
    ) -> Sequence[Any]:
        """One image per prompt, from vectors (N, 1 or 2, F)."""
        backbone = self.context.backbone
        vectors = vectors.to(backbone.device)
        positive = vectors[:, :1]
        negative = vectors[:, 1:] if self.negative == "disliked" else torch.zeros_like(positive)
        embeds = torch.cat([negative, positive]) if self._guidance > 1 else positive
        return backbone.generate(
            prompts,
            seeds,
            negative_prompts=unwanted if any(unwanted) else None,
            ip_adapter_image_embeds=[embeds.to(backbone.dtype)],
            guidance_scale=self._guidance,
        )

    def _best(self, told: Mapping[str, Any], images: Sequence[Any]) -> int:
        """The place of the drawing that the user most probably likes, the first of equals."""
        return 0 if len(images) == 1 else int(self._likes(told["after"], images).argmax())

    def _kept(self, history: History) -> Any:
        """What `_likes` needs of a history, as plain data for a profile."""
        return self.verdicts.kept(history)

    def _likes(self, kept: Any, images: Sequence[Any]) -> FloatArray:
        """How much the user likes each drawing (N,)."""
        return self.verdicts.again(kept, images)

    def _said(self, history: History) -> tuple[str, str]:
        """What the language model says is liked, and disliked, ready for prompts; empty where that cannot be used."""
        if groups := self.mllm.card.phrases:
            told = self.asking.phrases(history)
            return (surest(told, groups, self.sure), surest(told, groups, self.sure, liked=False)) if told else ("", "")
        tokenizer, control = self.context.backbone.pipeline.tokenizer, self.mllm.tokenizer.get_added_vocab()
        try:
            return read_answer(self.verdicts.answer(history), tokenizer, control), ""
        except ValueError as error:
            logger.warning("%s: %s %s; drawing without words", self.card.name, history.user, error)
            return "", ""

    @property
    def _guidance(self) -> float:
        return self.user_guidance or self.context.backbone.card.guidance

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
        return self.reader.states(questions) if questions else None

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
