"""`prefbench train ip-adapter`: the adapter with the data, targets and eyes that `ours` has, for a fair comparison."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from prefbench.api import PrefbenchError, Suite, TrainUser
from prefbench.files import write_atomic
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.loader import load_mllm
from prefbench.registry import default, load
from prefbench.run.environment import hardware, versions
from prefbench.training.adapter import AdapterTask
from prefbench.training.curves import draw_curve
from prefbench.training.diffusion import noise_levels
from prefbench.training.loop import Batch, FitConfig, Progress, fit
from prefbench.training.requests import TrainRequest

from .ip_adapter import TOKENS
from .ours.train.conversations import HELD_BACK, judgments, users_of
from .ours.train.history_states import draw_histories
from .ours.train.injection_recipe import MINIATURE, InjectionRecipe
from .ours.train.injection_stage import latents_of, pixels_of
from .ours.train.judged_images import JudgedImages
from .shared.image_tower import most_typical
from .shared.picks import targets_picked
from .shared.trained_adapter import AdapterConfig, fresh_adapter, save_adapter

logger = logging.getLogger(__name__)

Targets = Literal["captions", "likes", "chosen", "picks"]


@dataclass(frozen=True)
class AdapterRecipe:
    """What the adapter is trained on; histories are drawn as for `ours` (`InjectionRecipe`).

    Args:
        targets: `captions` draws every judged picture from its prompt and its own embedding, as public adapters are
            trained, whoever liked it; else a user's liked pictures, or picks, from another one that the user liked,
            and for the user's opposite from one that the user disliked.
        mllm: whose verdicts picks are.
        initial_scale: factor on the fresh tokens, as in `InjectionRecipe`.
        noise: location of the noise levels, as there.
    """

    fit: FitConfig
    targets: Targets
    histories: int
    mllm: str
    eyes: AdapterConfig
    initial_scale: float = MINIATURE.initial_scale
    noise: float = MINIATURE.noise


def train(
    request: TrainRequest,
    *,
    targets: Targets = "likes",
    suite: Annotated[str, "suite"] = default("suite"),
    backbone: Annotated[str | None, "backbone"] = None,
    mllm: Annotated[str, "mllm"] = default("mllm"),
    image_tower: str = "",
    eyes: str = "",
    histories: int = MINIATURE.histories,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Trains on what the suite's train users judged, of as many images and with the schedule of `ours`.

    Drawn with by `prefbench run --method ip-adapter -p weights=FOLDER/final`.

    Args:
        targets: `captions`, `likes`, `chosen` or `picks`; see `AdapterRecipe`.
        mllm: a registered language model or a folder, whose verdicts are the picks.
        image_tower: a hub id or a folder in place of the backbone's own image tower.
        eyes: a language model, registered or a folder, whose vision tower is used in place of an image tower.
        histories: per user.

    Raises:
        PrefbenchError: a suite without train users who judged enough; models that are not here.
    """
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # two threads per process slow down badly as soon as anything else runs
    if eyes and image_tower:
        raise PrefbenchError("the adapter sees with an image tower or with a language model's eyes, not with both")
    if histories < 1:
        raise PrefbenchError(f"histories must be at least 1, got {histories}")
    world: Suite = load("suite", suite)()
    people = [one for one in world.train_users() if min(len(one.history.liked), len(one.history.disliked)) > HELD_BACK]
    if not people:
        raise PrefbenchError(
            f"suite {world.card.name!r} has no train user with more than {HELD_BACK} likes and dislikes"
        )
    pipeline = load_backbone(backbone or world.card.backbone, dtype="bfloat16" if torch.cuda.is_available() else None)
    sees = AdapterConfig(pipeline.card.name, image_tower, eyes)
    config = replace(MINIATURE.fit, images=request.images or MINIATURE.fit.images, seed=seed)
    recipe = AdapterRecipe(config, targets, histories, mllm if targets == "picks" else "", sees)
    return _trained(request, recipe, people, pipeline, world.card.name)


def _trained(
    request: TrainRequest,
    recipe: AdapterRecipe,
    people: Sequence[TrainUser],
    backbone: DiffusersBackbone,
    suite: str,
) -> dict[str, Any] | None:
    judged_images, look = JudgedImages(people), recipe.eyes.load_eyes(backbone)
    sees = replace(recipe.eyes, eyes_digest=look.digest)
    logger.info("ip-adapter: looking at %d pictures", len(judged_images.images))
    with Accelerator().main_process_first():
        samples = _samples(recipe, people, judged_images, request.folder)
    batches = _Batches(samples, look(judged_images.images), people, judged_images, backbone, noise=recipe.noise)
    adapter = fresh_adapter(backbone, look.width, TOKENS, recipe.fit.seed, recipe.initial_scale)
    task = AdapterTask(backbone.pipeline, adapter).float()
    progress = fit(
        task, batches, recipe.fit, request.folder / "training", made_of=_identity(recipe, sees, people, samples)
    )
    if not Accelerator().is_main_process:
        return None
    final = request.folder / "final"
    save_adapter(adapter, sees, final)
    draw_curve(request.folder / "training" / "loss.csv", request.folder / "final.png", title="ip-adapter")
    card = _card(recipe, progress, suite, len(people), len(samples))
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    return card


@dataclass(frozen=True)
class _Sample:
    """Rows of pictures to draw, any of them, and of liked pictures whose most typical one is the condition.

    Without `shown` a picture is its own condition.
    """

    wanted: Sequence[int]
    shown: Sequence[int]


def _samples(
    recipe: AdapterRecipe, people: Sequence[TrainUser], judged_images: JudgedImages, folder: Path
) -> list[_Sample]:
    if recipe.targets == "captions":
        everything = {judged_images.row(judgment) for one in people for judgment in judgments(one)}
        return [_Sample([row], []) for row in sorted(everything)]
    drawn = draw_histories(people, _as_ours(recipe))
    drawn = [one for one in drawn if one.history.liked]  # the adapter is shown a liked picture
    wanted = [[judged_images.row(judgment) for judgment in one.wanted] for one in drawn]
    if recipe.targets == "picks":
        mllm, seed = load_mllm(recipe.mllm), recipe.fit.seed
        wanted = targets_picked(mllm, drawn, people, judged_images, seed=seed, folder=folder)
    shown = [[judged_images.row(judgment) for judgment in one.history.liked] for one in drawn]
    return [_Sample(*pair) for pair in zip(wanted, shown, strict=True)]


def _as_ours(recipe: AdapterRecipe) -> InjectionRecipe:
    """Histories and targets as `ours` draws them."""
    targets: Literal["likes", "chosen"] = "chosen" if recipe.targets == "chosen" else "likes"
    return replace(MINIATURE, histories=recipe.histories, targets=targets, fit=recipe.fit)


class _Batches:
    """Draws (picture to draw, its prompt, condition); a share without prompt, without picture, or without both."""

    def __init__(
        self,
        samples: Sequence[_Sample],
        embeddings: Tensor,
        people: Sequence[TrainUser],
        judged_images: JudgedImages,
        backbone: DiffusersBackbone,
        *,
        noise: float,
        dropped: float = 0.05,
    ) -> None:
        self._samples, self._embeddings, self._dropped, self._noise = samples, embeddings, dropped, noise
        self._prompts = {judged_images.row(j): j.prompt for one in people for j in judgments(one)}
        self._pixels: Callable[[NDArray[np.int64]], Tensor] = pixels_of(judged_images, backbone.card.resolution)
        self._embed_text, self._latents = backbone.prompts, latents_of(backbone)
        self._references = [
            one.shown[most_typical(embeddings[list(one.shown)])] if one.shown else one.wanted[0] for one in samples
        ]

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        indices, fate = rng.integers(len(self._samples), size=size), rng.random(size)
        wanted = [self._samples[i].wanted for i in indices]
        rows = np.array([options[int(rng.integers(len(options)))] for options in wanted])
        no_text = (fate < self._dropped) | (fate > 1 - self._dropped)
        no_picture = fate < 2 * self._dropped
        texts = ["" if none else self._prompts[row] for row, none in zip(rows.tolist(), no_text, strict=True)]
        embedded = [self._embed_text(text) for text in texts]
        conditions = self._embeddings[[self._references[i] for i in indices]]
        return {
            "pictures": self._pixels(rows),
            "features": conditions * torch.from_numpy(~no_picture)[:, None],
            "u": noise_levels(rng, size, location=self._noise),
            "noise": torch.from_numpy(rng.standard_normal((size, *self._latents), dtype=np.float32)),
            **{name: torch.cat([row[name] for row in embedded]) for name in embedded[0]},
        }


def _identity(
    recipe: AdapterRecipe, sees: AdapterConfig, people: Sequence[TrainUser], samples: Sequence[_Sample]
) -> str:
    """Identifies everything but the length, which a longer training may change."""
    how = replace(recipe, fit=FitConfig(images=0, seed=recipe.fit.seed))
    return hashlib.sha256(f"{how} {sees} {users_of(people)} {samples}".encode()).hexdigest()


def _card(recipe: AdapterRecipe, progress: Progress, suite: str, users: int, samples: int) -> dict[str, Any]:
    told = {"targets": recipe.targets, "eyes": recipe.eyes.eyes, "image_tower": recipe.eyes.image_tower}
    options = "".join(f" -p {name}={value}" for name, value in told.items() if value)
    return {
        "name": "ip-adapter",
        "licence": "Apache-2.0",
        "command": f"prefbench train ip-adapter{options} --images {recipe.fit.images}",
        "data": {"suite": suite, "split": "train", "users": users, "samples": samples},
        "recipe": asdict(recipe),
        "training": {
            "steps": progress.step,
            "seen": progress.images,
            "wall_hours": round(progress.wall_s / 3600, 2),
            "core_hours": round(progress.core_s / 3600, 2),
            "machine": progress.machine,
        },
        "hardware": hardware(),
        "versions": versions(),
    }
