"""The last stage of `prefbench train ours`: the frozen language model's user vectors drive a frozen denoiser."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from PIL import ImageOps
from torch import Tensor

from prefbench.api import TrainUser
from prefbench.files import atomic_file
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.mllms.model import Mllm
from prefbench.training.adapter import Adapter, AdapterTask
from prefbench.training.loop import FitConfig, Progress, fit

from .. import weights
from ..alignment import Alignment
from ..vectors import Layers, Scales, widths
from .conversations import judgments, users_of
from .injection import InjectionBatches, InjectionTask, Read, read_histories
from .picks import Taste
from .practice import SyntheticUsers
from .question_task import JudgedImages

_SPOKEN = 24
"""Tokens of what a user likes in words that the alignment sees."""


@dataclass(frozen=True)
class InjectionRecipe:
    """How fusion, alignment and the second cross-attention are trained.

    Args:
        histories: read of each user.
        practice: practice users beside the real ones, for each of whom as many histories are read.
        flipped: share of histories of the opposite of a user.
        picked: the denoiser draws the best of so many pictures by the heads of the first stage (see `picks`), where it
            had any; 0 for users' own likes.
        alignment_weight: of the alignment loss beside the denoising loss.
        tokens: user tokens of each part.
        without: parts that are left out.
        image_tower: a hub id or a folder in place of the backbone's own.
    """

    fit: FitConfig
    histories: int = 8
    practice: int = 300
    flipped: float = 0.5
    picked: int = 1000
    alignment: Alignment = "mmd"
    alignment_weight: float = 0.01
    tokens: int = 4
    without: tuple[str, ...] = ()
    image_tower: str = ""

    @classmethod
    def of_card(cls, stored: Mapping[str, Any]) -> InjectionRecipe:
        """What a stage's card holds of one."""
        fit = {name: _tuples(value) for name, value in stored["fit"].items()}
        return cls(**{name: _tuples(value) for name, value in stored.items()} | {"fit": FitConfig(**fit)})


def _tuples(value: Any) -> Any:
    """JSON has lists alone."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


MINIATURE = InjectionRecipe(FitConfig(images=500_000, batch=32, lr=1e-3, ema=0.999, decay=0.5, save_every_s=120))
FULL = InjectionRecipe(
    FitConfig(images=2_000_000, batch=8, lr=1e-4, weight_decay=0.01, warmup_steps=500, decay=0.1),
    practice=0,
    flipped=0.25,
    picked=0,
)
"""Learning rate and weight decay of the public IP-Adapters (Ye et al. 2023, section 4.1)."""


def read(
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    book: JudgedImages,
    layers: Layers,
    recipe: InjectionRecipe,
    taste: Taste | None,
    path: Path,
) -> Read:
    """Reads the histories, or loads them where `path` holds just these, read by this model.

    Args:
        taste: what the first stage learned, for practice users.
    """
    made_of = _identity(mllm, train_users, layers, recipe, taste)
    with Accelerator().main_process_first():
        stored = torch.load(path, weights_only=True) if path.exists() else {}
        if stored.pop("made_of", None) == made_of and stored.keys() == Read.__dataclass_fields__.keys():
            return Read(**stored)
        rng = np.random.default_rng([recipe.fit.seed, 11])
        practice = SyntheticUsers(train_users, taste.described) if taste is not None and recipe.practice else None
        extra = [practice(rng) for _ in range(recipe.practice)] if practice is not None else []
        found = read_histories(
            mllm,
            [*train_users, *extra],
            book,
            layers,
            each=recipe.histories,
            flipped=recipe.flipped,
            seed=recipe.fit.seed,
        )
        with atomic_file(path) as temporary:
            torch.save(vars(found) | {"made_of": made_of}, temporary)
    return found


def _identity(
    mllm: Mllm, train_users: Sequence[TrainUser], layers: Layers, recipe: InjectionRecipe, taste: Taste | None
) -> str:
    """Of everything that what is read depends on."""
    practice = (recipe.practice, taste.digest) if taste is not None and recipe.practice else None
    how = (recipe.histories, practice, recipe.flipped, recipe.fit.seed)
    return hashlib.sha256(repr((mllm.digest, layers, how, users_of(train_users))).encode()).hexdigest()


def inject(
    backbone: DiffusersBackbone,
    mllm: Mllm,
    train_users: Sequence[TrainUser],
    book: JudgedImages,
    embeddings: Tensor,
    found: Read,
    taste: Taste | None,
    layers: Layers,
    recipe: InjectionRecipe,
    folder: Path,
) -> tuple[weights.Config, Adapter, Scales, Progress]:
    """Trains the adapter, continuing from what `folder` holds.

    Args:
        embeddings: (N, E) of the book's pictures, by the image tower that the recipe names.

    Raises:
        PrefbenchError: `folder` holds a training by another recipe, or of another language model, backbone or layers.
    """
    scales = Scales.joined(Scales.of(part) for part in (found.sem, found.core, embeddings))
    torch.manual_seed(recipe.fit.seed)
    config = weights.Config(
        backbone=backbone.card.name,
        backbone_digest=backbone.digest,
        mllm=mllm.card.name,
        widths=widths(layers, mllm, embeddings.shape[1]),
        text=int(backbone.pipeline.unet.config.cross_attention_dim),
        tokens=recipe.tokens,
        without=recipe.without,
        mllm_digest=mllm.digest,
        image_tower=recipe.image_tower,
    )
    adapter = weights.attach(backbone, config)
    task = InjectionTask(
        AdapterTask(backbone.pipeline, adapter),
        backbone.dtype,
        alignment=recipe.alignment,
        weight=recipe.alignment_weight,
    )
    prompts = [judgment.prompt for train_user in train_users for judgment in judgments(train_user)]
    if taste is not None and recipe.picked:
        found = replace(found, wanted=taste.picks(found.last, prompts, one_in=recipe.picked))
    batches = InjectionBatches(
        found,
        embeddings=embeddings,
        pixels=pixels_of(book, backbone.card.resolution),
        prompts=prompts,
        scales=scales,
        embed_text=backbone.prompts,
        words_of=functools.lru_cache(maxsize=None)(functools.partial(_words, backbone)),
        latents=latents_of(backbone),
    )
    how = replace(recipe, fit=FitConfig(images=0))
    parts = (_identity(mllm, train_users, layers, recipe, taste), how, backbone.digest, taste.digest if taste else "")
    made_of = hashlib.sha256(repr(parts).encode()).hexdigest()
    progress = fit(task, batches, recipe.fit, folder, made_of=made_of)
    return config, adapter, scales, progress


def pixels_of(book: JudgedImages, side: int) -> Callable[[NDArray[np.int64]], Tensor]:
    """Rows of the book to the middle of pictures (B, 3, side, side) in [-1, 1]."""

    def load(rows: NDArray[np.int64]) -> Tensor:
        images = [ImageOps.fit(book.images[int(row)].convert("RGB"), (side, side)) for row in rows]
        return torch.from_numpy(np.stack([np.asarray(i) for i in images])).permute(0, 3, 1, 2).float() / 127.5 - 1

    return load


def latents_of(backbone: DiffusersBackbone) -> tuple[int, int, int]:
    """Channels, height and width of a latent."""
    side = backbone.card.resolution // backbone.pipeline.vae_scale_factor
    return int(backbone.pipeline.unet.config.in_channels), side, side


def _words(backbone: DiffusersBackbone, text: str) -> tuple[Tensor, Tensor]:
    """States (L, D) of the text encoder for what a user likes, and which of them belong to words (L,)."""
    states = backbone.prompts(text)["prompt_embeds"][0, 1 : 1 + _SPOKEN].float()
    tokens = backbone.pipeline.tokenizer(text, truncation=True, max_length=len(states) + 1)["input_ids"]
    spoken = max(0, len(tokens) - 2)  # all but the tokens of beginning and end
    return states, torch.arange(len(states)) < spoken
