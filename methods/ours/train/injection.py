"""Stage 3: fusion, alignment and the second cross-attention, trained together on what users liked.

The language model is frozen, so a number of histories of every train user are read once. A step then takes a history,
another picture that its user liked, and asks the denoiser for that picture by its prompt and the user's tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from prefbench.api import TrainUser
from prefbench.models.mllms.model import Mllm
from prefbench.training.adapter import AdapterTask
from prefbench.training.diffusion import noise_levels
from prefbench.training.loop import Batch

from ...shared.questions import Shown, taste_question
from ..alignment import Alignment, alignment_loss
from ..fusion import Fusion
from ..vectors import Layers, Scales, join
from .conversations import Sizes, Told, at_most, pick
from .question_task import JudgedImages


@dataclass(frozen=True)
class Read:
    """Histories that the language model has read: `e_sem` (H, .), `e_core` (H, .), and what each was."""

    sem: Tensor
    core: Tensor
    last: Tensor
    """(H, W) the last layer's state at the last token."""
    shown: Sequence[Sequence[int]]
    """Rows of the liked pictures it showed; empty where it showed dislikes alone."""
    wanted: Sequence[Sequence[int]]
    """Rows of the liked pictures it did not show, or what stands for them."""
    likes: Sequence[str]
    """What the user likes in words, joined by commas; empty where nobody knows."""

    def __len__(self) -> int:
        return len(self.sem)


def read_histories(
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    book: JudgedImages,
    layers: Layers,
    *,
    each: int = 8,
    flipped: float = 0.25,
    seed: int = 0,
    batch: int = 32,
) -> Read:
    """Reads `each` random histories of every user, a share of them of the user's opposite."""
    rng = np.random.default_rng([seed, 77])
    drawn = [_draw(train_user, book, flipped, rng) for train_user in train_users for _ in range(each)]
    # Histories of about one size share a batch.
    order = sorted(range(len(drawn)), key=lambda i: len(drawn[i].liked) + len(drawn[i].disliked))
    rows: list[tuple[Tensor, ...]] = [()] * len(drawn)
    for start in tqdm(range(0, len(order), batch), desc="read histories", unit="batch"):
        part = order[start : start + batch]
        shown = [Shown(_images(book, drawn[i].liked), _images(book, drawn[i].disliked)) for i in part]
        states = mllm.states([taste_question(s) for s in shown], batch=batch)
        for i, *row in zip(part, *layers.of(states), states.last[:, -1], strict=True):
            rows[i] = tuple(row)
    shown_rows, wanted, likes = zip(*((d.liked, d.wanted, d.likes) for d in drawn), strict=True)
    sem, core, last = (torch.stack(part) for part in zip(*rows, strict=True))
    return Read(sem, core, last, shown_rows, wanted, likes)


class _Drawn(NamedTuple):
    """A history to be read, in rows of the book."""

    liked: list[int]
    wanted: list[int]
    disliked: list[int]
    likes: str


def _draw(train_user: TrainUser, book: JudgedImages, flipped: float, rng: np.random.Generator) -> _Drawn:
    told = Told.of(train_user, flipped=rng.random() < flipped)
    n_liked, n_disliked = Sizes().draw(rng)
    liked = [book.row(told.liked[int(i)]) for i in rng.permutation(len(told.liked))]
    disliked = [book.row(told.disliked[int(i)]) for i in rng.permutation(len(told.disliked))]
    n_liked = at_most(n_liked, liked)
    return _Drawn(liked[:n_liked], liked[n_liked:], disliked[:n_disliked], ", ".join(told.likes))


def _images(book: JudgedImages, rows: Sequence[int]) -> tuple[Image.Image, ...]:
    return tuple(book.images[row] for row in rows)


class InjectionTask(nn.Module):
    """The denoising loss plus the weighted alignment loss.

    What is trained is in float32, whatever precision the denoiser is in: half precision cannot tell such small steps.

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
            known = batch["spoken"] & batch["conditioned"][:, None]
            mapped = cast(Fusion, self.denoising.adapter.projection).mapped(batch["features"])
            loss = loss + self.weight * alignment_loss(mapped, batch["words"], known, self.alignment)
        return loss


class InjectionBatches:
    """Draws (history, liked picture it does not show, prompt); a share without user, without prompt, without both.

    Args:
        embeddings: (N, E) of the image tower, a row a judged picture.
        pixels: rows to pictures (B, 3, H, W) in [-1, 1].
        prompts: of each row.
        embed_text: a prompt to what the denoiser is given for it.
        words_of: what a user likes in words to states (L, D), and which of them belong to words (L,).
        latents: channels, height and width.
    """

    def __init__(
        self,
        read: Read,
        *,
        embeddings: Tensor,
        pixels: Callable[[NDArray[np.int64]], Tensor],
        prompts: Sequence[str],
        scales: Scales,
        embed_text: Callable[[str], Mapping[str, Tensor]],
        words_of: Callable[[str], tuple[Tensor, Tensor]],
        latents: tuple[int, ...],
        user_dropped: float = 0.1,
        text_dropped: float = 0.05,
    ) -> None:
        self.read, self.embeddings, self.pixels, self.prompts = read, embeddings, pixels, prompts
        self.scales, self.embed_text, self.words_of, self.latents = scales, embed_text, words_of, latents
        self.user_dropped, self.text_dropped = user_dropped, text_dropped
        self._mean_image = embeddings.mean(0)

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.integers(len(self.read), size=size)
        rows = np.array([pick(self.read.wanted[i], rng) for i in chosen])
        shown = [self.read.shown[i] for i in chosen]
        images = torch.stack([self.embeddings[pick(s, rng)] if s else self._mean_image for s in shown])
        vectors = self.scales(join(self.read.sem[chosen], self.read.core[chosen], images))
        kept = torch.from_numpy(rng.random(size) >= self.user_dropped)
        texts = ["" if rng.random() < self.text_dropped else self.prompts[row] for row in rows]
        embedded = [self.embed_text(text) for text in texts]
        words, spoken = zip(*(self.words_of(self.read.likes[i]) for i in chosen), strict=True)
        return {
            "pictures": self.pixels(rows),
            "features": vectors * kept[:, None],
            "conditioned": kept,
            "words": torch.stack(words),
            "spoken": torch.stack(spoken),
            "u": noise_levels(rng, size),
            "noise": torch.from_numpy(rng.standard_normal((size, *self.latents), dtype=np.float32)),
            **{name: torch.cat([row[name] for row in embedded]) for name in embedded[0]},
        }
