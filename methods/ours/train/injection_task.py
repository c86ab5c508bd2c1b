"""Stage 3: fusion, alignment and the second cross-attention, trained together on images that users liked.

A step takes a history that the frozen language model has read and another image that its user liked, and asks the
denoiser for that image by its prompt and the user's tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prefbench.training.adapter import Adapter, AdapterTask
from prefbench.training.diffusion import LOOKS_DECIDED, noise_levels
from prefbench.training.frozen import Frozen
from prefbench.training.loop import Batch

from ..alignment import Alignment, alignment_loss
from ..fusion import Fusion
from ..vectors import Reference, Scales, join, referred
from .alignment_words import distances
from .conversations import pick
from .history_states import HistoryStates


class InjectionTask(nn.Module):
    """The denoising loss plus the weighted alignment loss.

    Trained weights are in float32, whatever the denoiser's dtype: half precision cannot represent such small steps.

    Batch: as for `AdapterTask`, with `words` (B, L, D), `spoken` (B, L) which of them a user likes, and `conditioned`
    (B,) whether the user is known.
    """

    def __init__(self, adapter_task: AdapterTask, dtype: torch.dtype, *, alignment: Alignment, weight: float) -> None:
        super().__init__()
        self.denoising = adapter_task.float()
        self.dtype, self.alignment, self.weight = dtype, alignment, weight

    def forward(self, batch: Batch) -> Tensor:
        device = batch["features"].device.type
        with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
            loss: Tensor = self.denoising(batch)
        if self.alignment != "none" and self.weight:
            has_words = batch["spoken"] & batch["conditioned"][:, None]
            mapped = cast(Fusion, self.denoising.adapter.projection).mapped(batch["features"])
            loss = loss + self.weight * alignment_loss(mapped, batch["words"], has_words, self.alignment)
        return loss


class AlignmentTask(nn.Module):
    """The alignment loss alone, which needs no denoiser.

    Batch: `features` (B, F) user vectors, `words` (B, L, D), `spoken` (B, L) which of them a user likes.
    """

    def __init__(self, fusion: Fusion, alignment: Alignment) -> None:
        super().__init__()
        self.mapping, self._fusion = fusion.sem, Frozen(fusion)  # the rest of the fusion would get no gradients
        self.alignment = alignment

    def forward(self, batch: Batch) -> Tensor:
        mapped = self._fusion.module.mapped(batch["features"])
        loss = alignment_loss(mapped, batch["words"], batch["spoken"], self.alignment)
        return loss + 0 * mapped.sum()  # a batch in which nobody has words teaches nothing, but is no error


class InjectionBatches:
    """Draws (history, liked image it does not show, prompt); a share without user, without prompt, without both.

    Args:
        embeddings: (N, E) by the image tower, one row per judgment.
        pixels: rows to pictures (B, 3, H, W) in [-1, 1].
        prompts: prompt of each row.
        embed_text: a prompt to the denoiser's conditioning.
        words_of: what a user likes in words to states (L, D), and which of them belong to words (L,).
        latents: channels, height and width.
        reference: which of the liked pictures that a history shows `e_img` is taken from; never from the target.
        noise: location of the noise levels; see `noise_levels`.
    """

    def __init__(
        self,
        histories: HistoryStates,
        *,
        embeddings: Tensor,
        pixels: Callable[[NDArray[np.int64]], Tensor],
        prompts: Sequence[str],
        scales: Scales,
        embed_text: Callable[[str], Mapping[str, Tensor]],
        words_of: Callable[[str], tuple[Tensor, Tensor]],
        latents: tuple[int, ...],
        reference: Reference = "random",
        user_dropped: float = 0.1,
        text_dropped: float = 0.05,
        noise: float = LOOKS_DECIDED,
    ) -> None:
        self.histories, self.embeddings, self.pixels, self.prompts = histories, embeddings, pixels, prompts
        self.scales, self.embed_text, self.words_of, self.latents = scales, embed_text, words_of, latents
        self.user_dropped, self.text_dropped, self.noise = user_dropped, text_dropped, noise
        self._mean_image = embeddings.mean(0)
        if reference == "random":
            self._references = histories.shown
        else:
            self._references = [[s[referred(embeddings[list(s)], reference)]] if s else [] for s in histories.shown]

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        indices = rng.integers(len(self.histories), size=size)
        rows = np.array([pick(self.histories.wanted[i], rng) for i in indices])
        told = self._told(indices, rng)
        conditioned = torch.from_numpy(rng.random(size) >= self.user_dropped)
        texts = ["" if rng.random() < self.text_dropped else self.prompts[row] for row in rows]
        embedded = [self.embed_text(text) for text in texts]
        return {
            **told,
            "pictures": self.pixels(rows),
            "features": told["features"] * conditioned[:, None],
            "conditioned": conditioned,
            "u": noise_levels(rng, size, location=self.noise),
            "noise": torch.from_numpy(rng.standard_normal((size, *self.latents), dtype=np.float32)),
            **{name: torch.cat([row[name] for row in embedded]) for name in embedded[0]},
        }

    def unpictured(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch of an `AlignmentTask`: `features`, `words` and `spoken` of histories, with no picture to draw."""
        return self._told(rng.integers(len(self.histories), size=size), rng)

    def _told(self, indices: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        """User vectors of histories, and what their users like in words."""
        references = [self._references[i] for i in indices]
        images = torch.stack([self.embeddings[pick(s, rng)] if s else self._mean_image for s in references])
        vectors = self.scales(join(self.histories.sem[indices], self.histories.core[indices], images))
        words, spoken = zip(*(self.words_of(self.histories.likes[i]) for i in indices), strict=True)
        return {"features": vectors, "words": torch.stack(words), "spoken": torch.stack(spoken)}

    @torch.no_grad()
    def distances(self, adapter: Adapter, each: int) -> dict[str, Any]:
        """How far the mapped `e_sem` of one history per user is from the users' words: see `alignment_words`.

        Args:
            each: histories of every user, which stand together.
        """
        rows = torch.arange(0, len(self.histories), each)
        images = self._mean_image.expand(len(rows), -1)
        vectors = self.scales(join(self.histories.sem[rows], self.histories.core[rows], images))
        fusion = cast(Fusion, adapter.projection)
        mapped = torch.cat(
            [fusion.mapped(chunk.to(fusion.core.weight.device)).cpu() for chunk in torch.split(vectors, 256)]
        )
        words, spoken = zip(*(self.words_of(self.histories.likes[int(row)]) for row in rows), strict=True)
        return distances(mapped, torch.stack(words), torch.stack(spoken))
