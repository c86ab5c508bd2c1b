"""The last stage of `prefbench train ours`: user vectors of the frozen language model condition a frozen denoiser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from PIL import ImageOps
from torch import Tensor

from prefbench.api import PrefbenchError, TrainUser
from prefbench.files import atomic_file
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.mllms.model import Mllm
from prefbench.training.adapter import Adapter, AdapterTask
from prefbench.training.loop import FitConfig, Progress, fit

from ...shared.picks import picking_by, targets_picked
from .. import weights
from ..fusion import Fusion
from ..vectors import HistoryReader, Layers, Scales, widths
from .alignment_words import WordStates
from .conversations import users_of
from .history_states import HistoryStates, TrainingHistory, draw_histories, read_histories
from .injection_recipe import InjectionRecipe
from .injection_task import AlignmentTask, InjectionBatches, InjectionTask
from .judged_images import JudgedImages

_KEYS_AND_VALUES = "denoising.adapter.layers"
"""The beginning of their names in `InjectionTask`."""
_ALIGNED_BATCH, _ALIGNED_RATE = 128, 1e-3


@dataclass(frozen=True)
class UserSource:
    """The sources of user vectors: histories of which users, read by which model and layers.

    Args:
        name: of the reader: a language model's folder or registered name, or what stands in its place.
        train_users: those to learn from.
        judged_images: of these users, and perhaps of others.
        prompts: of each row of `judged_images`.
        picker: whose verdicts `picks` are; None where nothing is picked.
    """

    name: str
    reader: HistoryReader
    layers: Layers
    train_users: Sequence[TrainUser]
    judged_images: JudgedImages
    prompts: Sequence[str]
    picker: Mllm | None = None

    def read(self, recipe: InjectionRecipe, path: Path) -> HistoryStates:
        """Reads the histories, or loads them where `path` holds the same ones, read by this model."""
        made_of = self.identity(recipe)
        with Accelerator().main_process_first():
            stored = torch.load(path, weights_only=True) if path.exists() else {}
            if stored.pop("made_of", None) == made_of and stored.keys() == HistoryStates.__dataclass_fields__.keys():
                return HistoryStates(**stored)
            drawn = draw_histories(self.train_users, recipe)
            # Picks are stored as they come, what is read only at its end.
            picked = self._picks(drawn, recipe, path.parent) if recipe.targets == "picks" else None
            histories = read_histories(self.reader, drawn, self.judged_images, self.layers)
            histories = histories if picked is None else replace(histories, wanted=picked)
            with atomic_file(path) as temporary:
                torch.save(vars(histories) | {"made_of": made_of}, temporary)
        return histories

    def identity(self, recipe: InjectionRecipe) -> str:
        """Identifies everything that the states of the histories depend on."""
        picks = None
        if recipe.targets == "picks" and self.picker is not None:
            picks = (picking_by(self.picker), self.picker.digest)
        how = (recipe.histories, recipe.flipped, recipe.fit.seed, recipe.targets, recipe.shown, recipe.dislikes, picks)
        everything = (self.reader.digest, self.layers, how, users_of(self.train_users))
        return hashlib.sha256(repr(everything).encode()).hexdigest()

    def _picks(self, histories: Sequence[TrainingHistory], recipe: InjectionRecipe, folder: Path) -> list[list[int]]:
        if self.picker is None:
            raise PrefbenchError("picks need a language model whose verdicts they are")
        seed = recipe.fit.seed
        return targets_picked(self.picker, histories, self.train_users, self.judged_images, seed=seed, folder=folder)


class Injected(NamedTuple):
    """A trained adapter, and how far the mapped `e_sem` was from words before and after (`distances`)."""

    config: weights.Config
    adapter: Adapter
    scales: Scales
    progress: Progress
    alignment: Mapping[str, Any]


def inject(
    source: UserSource,
    histories: HistoryStates,
    backbone: DiffusersBackbone,
    embeddings: Tensor,
    recipe: InjectionRecipe,
    folder: Path,
) -> Injected:
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
        mllm=source.name,
        widths=widths(source.layers, source.reader, embeddings.shape[1]),
        text=int(backbone.pipeline.unet.config.cross_attention_dim),
        tokens=recipe.tokens,
        without=recipe.without,
        mllm_digest=source.reader.digest,
        image_tower=recipe.image_tower,
        reference="first" if recipe.reference == "first" else "typical",
    )
    adapter = weights.attach(backbone, config)
    fusion, aligns_first = cast(Fusion, adapter.projection), recipe.aligns_first and any(histories.likes)
    fusion.shrink(recipe.initial_scale, sem=not aligns_first)
    task = InjectionTask(
        AdapterTask(backbone.pipeline, adapter),
        backbone.dtype,
        alignment=recipe.alignment,
        weight=recipe.alignment_weight,
    )
    batches = _batches(source, histories, backbone, embeddings, scales, recipe)
    adapter.layers.requires_grad_(recipe.attention_rate > 0)
    aligned = {"before": batches.distances(adapter, recipe.histories)}
    made_of = _identity(source, backbone, recipe)
    if aligns_first:
        alone = AlignmentTask(fusion, recipe.alignment)
        fit(alone, batches.unpictured, _aligned_first(recipe), folder / "alignment", made_of=made_of)
        aligned["aligned first"] = batches.distances(adapter, recipe.histories)
    progress = fit(task, batches, _fitted(recipe), folder, made_of=made_of)
    aligned["after"] = batches.distances(adapter, recipe.histories)
    return Injected(config, adapter, scales, progress, aligned)


def _aligned_first(recipe: InjectionRecipe) -> FitConfig:
    """The schedule of the alignment alone, no longer than the injection. Its batches cost little, so they are large."""
    images = min(recipe.aligned_first, recipe.fit.images)
    return replace(recipe.fit, images=images, batch=_ALIGNED_BATCH, lr=_ALIGNED_RATE, slow=())


def _fitted(recipe: InjectionRecipe) -> FitConfig:
    """The schedule, in which keys and values may learn more slowly than the fusion."""
    if recipe.attention_rate in (0, 1):
        return recipe.fit
    return replace(recipe.fit, slow=(*recipe.fit.slow, (_KEYS_AND_VALUES, recipe.attention_rate)))


def _batches(
    source: UserSource,
    histories: HistoryStates,
    backbone: DiffusersBackbone,
    embeddings: Tensor,
    scales: Scales,
    recipe: InjectionRecipe,
) -> InjectionBatches:
    return InjectionBatches(
        histories,
        embeddings=embeddings,
        pixels=pixels_of(source.judged_images, backbone.card.resolution),
        prompts=source.prompts,
        scales=scales,
        embed_text=backbone.prompts,
        words_of=WordStates(backbone, recipe.words),
        latents=latents_of(backbone),
        reference=recipe.reference,
        noise=recipe.noise,
    )


def _identity(source: UserSource, backbone: DiffusersBackbone, recipe: InjectionRecipe) -> str:
    """Identifies everything but the length, which a longer training may change."""
    how = replace(recipe, fit=FitConfig(images=0))
    return hashlib.sha256(repr((source.identity(recipe), how, backbone.digest)).encode()).hexdigest()


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
