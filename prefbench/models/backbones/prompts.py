"""Text embeddings of a pipeline: each prompt encoded once, alone, and cached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from prefbench.models.backbones.texts import TextReader

REMEMBERED = 4096
"""Prompts whose embeddings are kept, in main memory; for SDXL in half precision they take 1.3 GB."""


class PromptEmbedder:
    """Embeds prompts with the one or two text encoders of a pipeline, named as the arguments of its call."""

    def __init__(self, pipeline: Any, device: torch.device) -> None:
        self.pipeline, self.device, self.texts = pipeline, device, TextReader(pipeline)
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._encode)

    def __call__(self, prompt: str) -> Mapping[str, Tensor]:
        """`prompt_embeds` (1, L, D), with two encoders also `pooled_prompt_embeds` (1, D); in main memory."""
        self.texts.note([prompt])
        return self._remembered(prompt)

    def batch(self, prompts: Sequence[str], negative_prompts: Sequence[str] | None) -> dict[str, Tensor]:
        """The embedding arguments of one call for N prompts, each (N, …) on the device.

        Without negative prompts the unconditional embedding is the pipeline's own: of the empty text, zeros for SDXL.
        """
        positive = [self._remembered(prompt) for prompt in prompts]
        if negative_prompts is None:
            negative = [self._unconditional()] * len(prompts)
        else:
            negative = [self._remembered(prompt) for prompt in negative_prompts]
        joined = {name: torch.cat([row[name] for row in positive]) for name in positive[0]}
        joined |= {f"negative_{name}": torch.cat([row[name] for row in negative]) for name in negative[0]}
        return {name: tensor.to(self.device) for name, tensor in joined.items()}

    def forget(self) -> None:
        """Forgets all embeddings, and how long their texts are."""
        self._remembered.cache_clear()
        self.texts.forget()

    @torch.no_grad()
    def _encode(self, prompt: str) -> Mapping[str, Tensor]:
        """Encodes a prompt alone, so that its embedding cannot depend on others."""
        encoded = self.texts.encode(
            prompt=prompt, device=self.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        # (conditional, unconditional), and with two text encoders the same again for the pooled embeddings.
        embeddings = zip(("prompt_embeds", "pooled_prompt_embeds"), encoded[::2], strict=False)
        return {name: embedding.cpu() for name, embedding in embeddings}

    def _unconditional(self) -> Mapping[str, Tensor]:
        if getattr(self.pipeline.config, "force_zeros_for_empty_prompt", False):
            return {name: torch.zeros_like(embedding) for name, embedding in self._remembered("").items()}
        return self._remembered("")
