"""What users like in words as the text encoder reads it, and how far the mapped `e_sem` is from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.stats.mmd import GaussianMixture, median_distance, unbiased_mmd

from ..alignment import Words, user_mmd

TOKENS, PHRASES = 24, 12
"""Word tokens, or phrases, of a user that the alignment sees."""
_FUNCTION_WORDS = frozenset(
    ("a", "an", "the", "this", "that", "with", "without", "of", "and", "or", "in", "on", "at", "to", "for", "by",
     "from", "into", "over", "under", "as", "is", "are", "its", "it")
)  # fmt: skip


class WordStates:
    """States of the text encoder for what a user likes in words: (L, D), and which of them belong to words (L,)."""

    def __init__(self, backbone: DiffusersBackbone, words: Words) -> None:
        self._backbone, self._words = backbone, words
        self._stored: dict[str, tuple[Tensor, Tensor]] = {}

    def __call__(self, likes: str) -> tuple[Tensor, Tensor]:
        """Of the liked phrases, joined by commas."""
        if likes not in self._stored:
            self._stored[likes] = self._tokens(likes) if self._words == "tokens" else self._phrases(likes)
        return self._stored[likes]

    def _tokens(self, text: str) -> tuple[Tensor, Tensor]:
        """Every word token of the text, commas and articles among them."""
        states = self._backbone.prompts(text)["prompt_embeds"][0, 1 : 1 + TOKENS].float().cpu()
        return states, torch.arange(len(states)) < self._spoken(text, len(states))

    def _phrases(self, likes: str) -> tuple[Tensor, Tensor]:
        """One vector per phrase of content words, at most `PHRASES`: the mean of its word states, read by itself."""
        phrases = list(dict.fromkeys(filter(None, map(content_words, likes.split(",")))))[:PHRASES]
        rows = [self._phrase(phrase) for phrase in phrases]
        width = self._backbone.prompts("")["prompt_embeds"].shape[-1]
        states = torch.stack([*rows, *[torch.zeros(width)] * (PHRASES - len(rows))])
        return states, torch.arange(PHRASES) < len(rows)

    def _phrase(self, phrase: str) -> Tensor:
        states = self._backbone.prompts(phrase)["prompt_embeds"][0, 1:].float().cpu()
        return states[: max(1, self._spoken(phrase, len(states)))].mean(0)

    def _spoken(self, text: str, room: int) -> int:
        """How many tokens are neither beginning nor end."""
        tokens: list[int] = self._backbone.pipeline.tokenizer(text, truncation=True, max_length=room + 1)["input_ids"]
        return max(0, len(tokens) - 2)


def content_words(phrase: str) -> str:
    """The phrase without punctuation and function words; empty where nothing is left."""
    words = (word.strip(".,;:!?\"'()") for word in phrase.lower().split())
    return " ".join(word for word in words if word and word not in _FUNCTION_WORDS)


def distances(mapped: Tensor, words: Tensor, mask: Tensor, *, seed: int = 0) -> dict[str, Any]:
    """Unbiased MMD^2 between mapped tokens and words: of all users together, and in the mean over users of their own.

    Beside each stands its floor, words half against half: of all users in both halves, and of each user with four
    words or more. None where there are too few words.

    Args:
        mapped: (U, T, D), one row per user.
        words: (U, L, D), of which `mask` (U, L) belong to words.
    """
    has_words = mask.any(1)
    mapped, words, mask = mapped[has_words].double(), words[has_words].double(), mask[has_words]
    if not has_words.any() or not median_distance(words[mask]) > 0:
        return {"users": int(has_words.sum()), "all": None, "all_floor": None, "own": None, "own_floor": None}
    kernel, rng = GaussianMixture.at_median(words[mask]), np.random.default_rng(seed)
    x, y = mapped.flatten(0, 1).numpy(), words[mask].numpy()
    one, other = np.array_split(rng.permutation(len(y)), 2)
    many = mask.sum(1) >= 2
    return {
        "users": len(mapped),
        "all": float(unbiased_mmd(x, y, kernel)),
        "all_floor": _halved(y, one, other, kernel),
        "own": float(user_mmd(mapped[many], words[many], mask[many], kernel).mean()) if many.any() else None,
        "own_floor": _own_floor(words, mask, kernel, rng),
    }


def _own_floor(words: Tensor, mask: Tensor, kernel: GaussianMixture, rng: np.random.Generator) -> float | None:
    values: list[float] = []
    for states, spoken in zip(words, mask, strict=True):
        y = states[spoken].numpy()
        one, other = np.array_split(rng.permutation(len(y)), 2)
        if (value := _halved(y, one, other, kernel)) is not None:
            values.append(value)
    return float(np.mean(values)) if values else None


def _halved(
    y: NDArray[np.float64], one: NDArray[np.int64], other: NDArray[np.int64], kernel: GaussianMixture
) -> float | None:
    return float(unbiased_mmd(y[one], y[other], kernel)) if min(len(one), len(other)) > 1 else None
