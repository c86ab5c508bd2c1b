"""The last stage of `prefbench train ours`: user vectors of the frozen language model condition a frozen denoiser."""

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
from .curriculum.preference_heads import PreferenceHeads
from .curriculum.synthetic_users import SyntheticUsers
from .history_states import HistoryStates, read_histories
from .injection_task import InjectionBatches, InjectionTask
from .judged_images import JudgedImages
from .stored_names import current_names, recipe_text

_WORDS = 24
"""Tokens of what a user likes in words that the alignment sees."""


@dataclass(frozen=True)
class InjectionRecipe:
    """How fusion, alignment and the second cross-attention are trained.

    Args:
        histories: number read per user.
        synthetic_users: beside the real ones, for each of whom as many histories are read.
        flipped: share of histories with likes and dislikes exchanged.
        picked: training images are the best one in this many by the first stage's heads, where it had any; 0 for
            users' own likes. See `curriculum/preference_heads.py`.
        alignment_weight: weight of the alignment loss; that of the denoising loss is 1.
        tokens: user tokens of each part.
        without: parts that are left out.
        image_tower: a hub id or a folder in place of the backbone's own.
    """

    fit: FitConfig
    histories: int = 8
    synthetic_users: int = 300
    flipped: float = 0.5
    picked: int = 1000
    alignment: Alignment = "mmd"
    alignment_weight: float = 0.01
    tokens: int = 4
    without: tuple[str, ...] = ()
    image_tower: str = ""

    @classmethod
    def of_card(cls, stored: Mapping[str, Any]) -> InjectionRecipe:
        """The recipe as a stage's card holds it."""
        fit = {name: _tuples(value) for name, value in stored["fit"].items()}
        values = {name: _tuples(value) for name, value in current_names(stored).items()}
        return cls(**values | {"fit": FitConfig(**fit)})


def _tuples(value: Any) -> Any:
    """Turns JSON's lists back into tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


MINIATURE = InjectionRecipe(FitConfig(images=500_000, batch=32, lr=1e-3, ema=0.999, decay=0.5, save_every_s=120))
FULL = InjectionRecipe(
    FitConfig(images=2_000_000, batch=8, lr=1e-4, weight_decay=0.01, warmup_steps=500, decay=0.1),
    synthetic_users=0,
    flipped=0.25,
    picked=0,
)
"""Learning rate and weight decay of the public IP-Adapters (Ye et al. 2023, section 4.1)."""


@dataclass(frozen=True)
class UserSource:
    """The sources of user vectors: histories of which users, read by which model and layers.

    Args:
        heads: the first stage's heads, for synthetic users and picks; None where it had none.
    """

    mllm: Mllm
    layers: Layers
    train_users: Sequence[TrainUser]
    judged_images: JudgedImages
    heads: PreferenceHeads | None = None

    def read(self, recipe: InjectionRecipe, path: Path) -> HistoryStates:
        """Reads the histories, or loads them where `path` holds the same ones, read by this model."""
        made_of = self.identity(recipe)
        with Accelerator().main_process_first():
            stored = torch.load(path, weights_only=True) if path.exists() else {}
            if stored.pop("made_of", None) == made_of and stored.keys() == HistoryStates.__dataclass_fields__.keys():
                return HistoryStates(**stored)
            histories = read_histories(
                self.mllm,
                [*self.train_users, *self._synthetic_users(recipe)],
                self.judged_images,
                self.layers,
                each=recipe.histories,
                flipped=recipe.flipped,
                seed=recipe.fit.seed,
            )
            with atomic_file(path) as temporary:
                torch.save(vars(histories) | {"made_of": made_of}, temporary)
        return histories

    def identity(self, recipe: InjectionRecipe) -> str:
        """Identifies everything that the states of the histories depend on."""
        synthetic = None
        if self.heads is not None and recipe.synthetic_users:
            synthetic = (recipe.synthetic_users, self.heads.digest)
        how = (recipe.histories, synthetic, recipe.flipped, recipe.fit.seed)
        everything = (self.mllm.digest, self.layers, how, users_of(self.train_users))
        return hashlib.sha256(repr(everything).encode()).hexdigest()

    def _synthetic_users(self, recipe: InjectionRecipe) -> list[TrainUser]:
        if self.heads is None:
            return []
        rng = np.random.default_rng([recipe.fit.seed, 11])
        synthetic = SyntheticUsers(self.train_users, self.heads.described)
        return [synthetic(rng) for _ in range(recipe.synthetic_users)]


def inject(
    source: UserSource,
    histories: HistoryStates,
    backbone: DiffusersBackbone,
    embeddings: Tensor,
    recipe: InjectionRecipe,
    folder: Path,
) -> tuple[weights.Config, Adapter, Scales, Progress]:
    """Trains the adapter, continuing from what `folder` holds.

    Args:
        embeddings: (N, E) of the judged images, by the image tower that the recipe names.

    Raises:
        PrefbenchError: `folder` holds a training by another recipe, or of another language model, backbone or layers.
    """
    scales = Scales.joined(Scales.of(vectors) for vectors in (histories.sem, histories.core, embeddings))
    torch.manual_seed(recipe.fit.seed)
    config = weights.Config(
        backbone=backbone.card.name,
        backbone_digest=backbone.digest,
        mllm=source.mllm.card.name,
        widths=widths(source.layers, source.mllm, embeddings.shape[1]),
        text=int(backbone.pipeline.unet.config.cross_attention_dim),
        tokens=recipe.tokens,
        without=recipe.without,
        mllm_digest=source.mllm.digest,
        image_tower=recipe.image_tower,
    )
    adapter = weights.attach(backbone, config)
    task = InjectionTask(
        AdapterTask(backbone.pipeline, adapter),
        backbone.dtype,
        alignment=recipe.alignment,
        weight=recipe.alignment_weight,
    )
    batches = _batches(source, histories, backbone, embeddings, scales, recipe)
    progress = fit(task, batches, recipe.fit, folder, made_of=_identity(source, backbone, recipe))
    return config, adapter, scales, progress


def _batches(
    source: UserSource,
    histories: HistoryStates,
    backbone: DiffusersBackbone,
    embeddings: Tensor,
    scales: Scales,
    recipe: InjectionRecipe,
) -> InjectionBatches:
    prompts = [judgment.prompt for train_user in source.train_users for judgment in judgments(train_user)]
    if source.heads is not None and recipe.picked:
        histories = replace(histories, wanted=source.heads.picks(histories.last, prompts, one_in=recipe.picked))
    return InjectionBatches(
        histories,
        embeddings=embeddings,
        pixels=pixels_of(source.judged_images, backbone.card.resolution),
        prompts=prompts,
        scales=scales,
        embed_text=backbone.prompts,
        words_of=functools.lru_cache(maxsize=None)(functools.partial(_words, backbone)),
        latents=latents_of(backbone),
    )


def _identity(source: UserSource, backbone: DiffusersBackbone, recipe: InjectionRecipe) -> str:
    """Identifies everything but the length, which a longer training may change."""
    how = recipe_text(replace(recipe, fit=FitConfig(images=0)))
    heads = source.heads.digest if source.heads is not None else ""
    text = f"({source.identity(recipe)!r}, {how}, {backbone.digest!r}, {heads!r})"
    return hashlib.sha256(text.encode()).hexdigest()


def pixels_of(judged_images: JudgedImages, side: int) -> Callable[[NDArray[np.int64]], Tensor]:
    """Rows of the judged images to the middle of pictures (B, 3, side, side) in [-1, 1]."""

    def load(rows: NDArray[np.int64]) -> Tensor:
        images = [ImageOps.fit(judged_images.images[int(row)].convert("RGB"), (side, side)) for row in rows]
        return torch.from_numpy(np.stack([np.asarray(i) for i in images])).permute(0, 3, 1, 2).float() / 127.5 - 1

    return load


def latents_of(backbone: DiffusersBackbone) -> tuple[int, int, int]:
    """Channels, height and width of a latent."""
    side = backbone.card.resolution // backbone.pipeline.vae_scale_factor
    return int(backbone.pipeline.unet.config.in_channels), side, side


def _words(backbone: DiffusersBackbone, text: str) -> tuple[Tensor, Tensor]:
    """States (L, D) of the text encoder for what a user likes, and which of them belong to words (L,)."""
    states = backbone.prompts(text)["prompt_embeds"][0, 1 : 1 + _WORDS].float()
    tokens = backbone.pipeline.tokenizer(text, truncation=True, max_length=len(states) + 1)["input_ids"]
    spoken = max(0, len(tokens) - 2)  # all but the tokens of beginning and end
    return states, torch.arange(len(states)) < spoken
