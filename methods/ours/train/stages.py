"""`prefbench train ours`: questions, layers, injection; each stage resumes, leaves a card, and can be run by itself."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from accelerate import Accelerator
from torch import Tensor

from prefbench.api import PrefbenchError, Suite, TrainUser
from prefbench.environment import hardware, versions
from prefbench.files import WEIGHTS, atomic_folder, install_folder, write_atomic
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.loading import find_card
from prefbench.models.mllms.cards import MINI_MLLM, MllmCard
from prefbench.models.mllms.folders import CARD_FILE, card_of_folder
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.registry import load, names, unknown
from prefbench.training.curves import draw_curve
from prefbench.training.figures import as_card
from prefbench.training.loop import Progress
from prefbench.training.requests import TrainRequest

from ...shared.image_tower import load_image_tower
from .. import weights
from ..vectors import Layers
from . import injection_stage, layer_stage, question_stage
from .conversations import KEPT
from .picks import Taste
from .question_task import JudgedImages

logger = logging.getLogger(__name__)

Card = dict[str, Any]
Stage = Literal["questions", "layers", "injection"]
STAGES: tuple[Stage, ...] = get_args(Stage)
_COUNTING: tuple[Stage, ...] = ("questions", "injection")
"""Stages that have a length."""


@dataclass(frozen=True)
class Sources:
    """What a training is of, and with which models; registered names, files and folders. See `train`."""

    suite: str = "picturebook"
    backbone: str | None = None
    mllm: str = MINI_MLLM.name
    image_tower: str | None = None


def train(
    request: TrainRequest,
    *,
    stage: Stage | None = None,
    suite: str = Sources.suite,
    backbone: str | None = None,
    mllm: str = Sources.mllm,
    image_tower: str | None = None,
) -> Card | None:
    """Runs all stages or one; returns the last one's card, in the main process alone.

    `request.images` is the length of the stage that is named: conversations for `questions`, whose gathering is
    shortened alike, and images for `injection`. Without a stage the same call again goes on where the last one stopped.

    Args:
        stage: this one alone.
        suite: whose train users to learn from.
        backbone: a registered backbone or a folder; None for the suite's.
        mllm: a registered language model or a folder.
        image_tower: a hub id or a folder in place of the CLIP image tower that belongs to the backbone.

    Raises:
        PrefbenchError: an unknown stage; a suite without lessons; a stage whose forerunner has not run; an image that
            cannot be read. What was trained before is kept.
    """
    if stage is not None and stage not in STAGES:
        raise PrefbenchError(unknown("stage", stage, list(STAGES)))
    if request.images is not None and stage not in _COUNTING:
        raise PrefbenchError("--images needs -p stage=questions or -p stage=injection: they count different things")
    if request.images is not None and request.images < 1:
        raise PrefbenchError(f"--images must be at least 1, got {request.images}")
    job = Job(request, Sources(suite, backbone, mllm, image_tower), stage)
    card: Card | None = None
    for name in STAGES if stage is None else [stage]:
        logger.info("ours: stage %s", name)
        card = getattr(job, name)()
        job.accelerator.wait_for_everyone()
    return card


class Job:
    """One training: what it is of, and where each stage leaves its result."""

    def __init__(self, request: TrainRequest, sources: Sources, stage: Stage | None = None) -> None:
        if not torch.cuda.is_available():
            # Two threads a process collapse as soon as anything else runs; torchrun starts more processes.
            torch.set_num_threads(1)
        self.request, self.sources, self.stage, self.folder = request, sources, stage, request.folder
        self.suite: Suite = load("suite", sources.suite)()
        self.mllm_card = find_card("mllm", sources.mllm, MllmCard, card_of_folder)
        self.miniature = self.mllm_card.untrained is not None
        # Not `PartialState`, which does not hear of several processes on CPUs.
        self.accelerator = Accelerator()
        self.main = self.accelerator.is_main_process
        self._embedded: Tensor | None = None

    @property
    def mllm_folder(self) -> Path:
        return self.folder / "mllm"

    def questions(self) -> Card | None:
        """The language model, taught; in `mllm/`."""
        recipe, data = (
            self._question_recipe(),
            self._data("train", users=len(self.train_users), mllm=self.mllm_card.name),
        )
        path = self.mllm_folder / "card.json"
        card = self._done(path, recipe, data)
        if card is None:
            mllm = question_stage.start(self.mllm_card, self.folder / "questions")
            progress = question_stage.teach(mllm, self.train_users, self.book, recipe, self.folder / "questions")
            if not self.main:
                return None
            mllm.save(self.mllm_folder)
            parts = ("questions",) if recipe.gathering is None else ("gathering", "questions")
            for name in parts:
                losses = self.folder / "questions" / name / "loss.csv"
                draw_curve(losses, self.folder / f"{name}.png", title=f"ours: {name}")
            card = self._card("questions", recipe, dict(zip(parts, progress, strict=True)), data)
            _write(path, card)
            card |= self._measured(self.mllm_card.name, self.mllm_folder)
            _write(path, card)
        if self.request.install and self.main:
            install_folder(self.mllm_folder, WEIGHTS / self.mllm_card.name)
        return card

    def layers(self) -> Card | None:
        """Which layers tell users apart, and likes from dislikes; in `layers/`."""
        if not self.main:
            return None
        mllm, how, path = self._taught(), layer_stage.PROBED, self.folder / "layers" / "card.json"
        data = self._data("val", mllm=mllm.digest)
        card = self._done(path, how, data)
        if card is None:
            chosen, found = layer_stage.choose(mllm, self.suite, path.parent, how)
            chosen.save(path.with_name(weights.LAYERS))
            card = self._card("layers", how, {}, data | found)
            _write(path, card)
        return card

    def injection(self) -> Card | None:
        """Fusion, alignment and the second cross-attention; in `final/`."""
        folder, final = self.folder / "injection", self.folder / "final"
        card = self.inject(self._injection_recipe(), folder, final)
        if card is None:
            return None
        config = weights.Config.load(final / weights.CONFIG)
        layers = self.folder / "layers"
        for name in (layer_stage.TABLE, layer_stage.FIGURE):
            shutil.copyfile(layers / name, final / name)
        card["layers"] = json.loads((layers / "card.json").read_text(encoding="utf-8"))["data"]
        _write(final / "card.json", card)
        card |= self._measured(f"ours-{config.backbone}", final)
        _write(final / "card.json", card)
        if self.request.install:
            with atomic_folder(WEIGHTS / f"ours-{config.backbone}") as fresh:
                shutil.copytree(final, fresh, dirs_exist_ok=True)
                # Installed weights lie beside those of the language model.
                replace(config, mllm=f"../{self.mllm_card.name}").save(fresh / weights.CONFIG)
        return card

    def inject(self, recipe: injection_stage.InjectionRecipe, folder: Path, final: Path) -> Card | None:
        """Trains an adapter by a recipe in `folder` and stores it in `final`."""
        path = self.folder / "layers" / weights.LAYERS
        if not path.is_file():
            raise PrefbenchError(f"{path} does not exist; run -p stage=layers first")
        layers, mllm = Layers.load(path), self._taught()
        path = self.folder / "questions" / question_stage.TASTE
        taste = Taste.load(path) if path.is_file() else None
        found = injection_stage.read(mllm, self.train_users, self.book, layers, recipe, taste, self.folder / "read.pt")
        # In float16 the autoencoder of SDXL overflows, and gradients vanish.
        dtype = "bfloat16" if torch.cuda.is_available() else None
        backbone = load_backbone(self.sources.backbone or self.suite.card.backbone, dtype=dtype)
        tower = load_image_tower(backbone, recipe.image_tower)
        if self._embedded is None:  # trainings of several recipes share it
            self._embedded = tower(self.book.images)
        config, adapter, scales, progress = injection_stage.inject(
            backbone, mllm, self.train_users, self.book, self._embedded, found, taste, layers, recipe, folder
        )
        if not self.main:
            return None
        beside = os.path.relpath(self.mllm_folder, final)
        config = replace(config, mllm=beside, image_tower_digest=tower.digest)
        weights.save(final, config, adapter, layers, scales)
        draw_curve(folder / "loss.csv", final.with_name(f"{final.name}.png"), title="ours: injection")
        data = self._data("train", users=len(self.train_users), histories=len(found), mllm=mllm.digest)
        card = self._card("injection", recipe, {"injection": progress}, data)
        _write(final / "card.json", card)
        return card

    def _question_recipe(self) -> question_stage.QuestionRecipe:
        recipe = question_stage.MINIATURE if self.miniature else question_stage.PREDECESSOR
        wanted, usual = self.request.images, recipe.questions.images
        return recipe if wanted is None else recipe.shortened(wanted / usual)

    def _injection_recipe(self) -> injection_stage.InjectionRecipe:
        recipe = injection_stage.MINIATURE if self.miniature else injection_stage.FULL
        recipe = replace(recipe, image_tower=self.sources.image_tower or "")
        images = self.request.images
        return recipe if images is None else replace(recipe, fit=replace(recipe.fit, images=images))

    def _taught(self) -> Mllm:
        if not (self.mllm_folder / CARD_FILE).is_file():
            raise PrefbenchError(f"{self.mllm_folder} does not exist; run -p stage=questions first")
        return load_mllm(self.mllm_folder)

    @cached_property
    def train_users(self) -> Sequence[TrainUser]:
        """Of users with so many judgments a side that a history leaves some to ask about."""
        given = self.suite.train_users()
        kept = [x for x in given if min(len(x.history.liked), len(x.history.disliked)) > KEPT]
        if not kept:
            name = self.suite.card.name
            raise PrefbenchError(f"suite {name!r} has no train user with more than {KEPT} likes and {KEPT} dislikes")
        if len(kept) < len(given):
            logger.warning(
                "%d of %d train users have too few judgments to learn from", len(given) - len(kept), len(given)
            )
        return kept

    @cached_property
    def book(self) -> JudgedImages:
        """The pictures of the lessons, decoded once for all stages."""
        return JudgedImages(self.train_users)

    def _data(self, split: str, **more: Any) -> dict[str, Any]:
        return {"suite": self.suite.card.name, "split": split, **more}

    def _done(self, path: Path, recipe: Any, data: Mapping[str, Any]) -> Card | None:
        """The card of a stage that has run to its end by the same recipe; None where a stage was asked for by name."""
        if self.stage is not None or not path.is_file():
            return None
        card: Card = json.loads(path.read_text(encoding="utf-8"))
        same = card["recipe"] == json.loads(json.dumps(asdict(recipe)))
        return card if same and all(card["data"].get(name) == value for name, value in data.items()) else None

    def _card(self, stage: str, recipe: Any, progress: Mapping[str, Progress], data: Mapping[str, Any]) -> Card:
        """What a stage did, saw and took."""
        return {
            "name": f"ours: {stage}",
            "licence": "Apache-2.0",
            "command": f"prefbench train ours{self._options()}",
            "data": data,
            "recipe": asdict(recipe),
            "training": {
                name: {
                    "steps": p.step,
                    "seen": p.images,
                    "wall_hours": round(p.wall_s / 3600, 2),
                    "core_hours": round(p.core_s / 3600, 2),
                    "machine": p.machine,
                }
                for name, p in progress.items()
            },
            "hardware": hardware(),
            "versions": versions(),
        }

    def _measured(self, name: str, folder: Path) -> Card:
        """The figures of weights such as ship, which are those of picturebook; nothing for others."""
        if name not in names("weights") or not self.miniature or self.suite.card.name != "picturebook":
            return {}
        return {"figures": as_card(load("weights", name)(folder)), "measured_by": f"prefbench check weights {name}"}

    def _options(self) -> str:
        """What was asked for, as the command line takes it."""
        chosen = {"stage": self.stage, **asdict(self.sources)}
        usual = {"stage": None, **asdict(Sources())}
        parameters = [f" -p {name}={value}" for name, value in chosen.items() if value != usual[name]]
        images = [] if self.request.images is None else [f" --images {self.request.images}"]
        return "".join(parameters + images)


def _write(path: Path, card: Card) -> None:
    write_atomic(path, json.dumps(card, indent=2) + "\n")
