"""One training of `ours`: its inputs, its stages, and where each writes its output."""

from __future__ import annotations

import inspect
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from prefbench.api import PrefbenchError, Suite, TrainUser
from prefbench.files import WEIGHTS
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.folders import atomic_folder, install_folder
from prefbench.models.loading import find_card
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.folders import CARD_FILE, card_of_folder
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.registry import default, load
from prefbench.training.curves import draw_curve
from prefbench.training.loop import Progress
from prefbench.training.requests import TrainRequest

from ...shared.image_tower import load_image_tower
from .. import weights
from ..alignment import Alignment
from ..vectors import HistoryReader, LayerRule, Layers
from . import injection_recipe, injection_stage, layer_stage, question_recipe, question_stage
from .conversations import HELD_BACK, judgments
from .injection_recipe import InjectionRecipe, Targets
from .judged_images import JudgedImages
from .stage_card import Card, finished_card, make_card, measured, write_card

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

logger = logging.getLogger(__name__)

Stage = Literal["questions", "layers", "injection"]
STAGES: tuple[Stage, ...] = get_args(Stage)
_POPULATIONS_FROM = 101
"""Seed of the first other population that a language model learns from."""


@dataclass(frozen=True)
class Sources:
    """The suite and models of a training: registered names, files and folders. See `train`."""

    suite: str = default("suite")
    backbone: str | None = None
    mllm: str = default("mllm")
    image_tower: str | None = None


@dataclass(frozen=True)
class Options:
    """Fields of the injection's recipe that a call may change; None leaves the recipe's own. See `InjectionRecipe`."""

    targets: Targets | None = None
    layers: LayerRule | None = None
    alignment: Alignment | None = None
    alignment_weight: float | None = None
    train_users: int | None = None
    attention_rate: float | None = None
    seed: int | None = None


class Job:
    """One training of a method's weights: its inputs, and where each stage writes its output."""

    def __init__(
        self,
        request: TrainRequest,
        sources: Sources,
        stage: Stage | None = None,
        options: Options = Options(),
        method: str = "ours",
    ) -> None:
        if not torch.cuda.is_available():
            # Two threads per process slow down badly as soon as anything else runs; torchrun starts more processes.
            torch.set_num_threads(1)
        self.request, self.sources, self.stage, self.folder = request, sources, stage, request.folder
        self.options, self.method = options, method
        self.suite: Suite = load("suite", sources.suite)()
        self.mllm_card = find_card("mllm", sources.mllm, MllmCard, card_of_folder)
        self.miniature = self.mllm_card.untrained is not None
        # Not `PartialState`, which does not detect several processes on CPUs.
        self.accelerator = Accelerator()
        self.main = self.accelerator.is_main_process
        self._embedded: Tensor | None = None

    @property
    def mllm_folder(self) -> Path:
        return self.folder / "mllm"

    def questions(self) -> Card | None:
        """The trained language model; in `mllm/`."""
        recipe, path = self._question_recipe(), self.mllm_folder / "card.json"
        users = [*self.train_users, *self._more_users(recipe.populations)]
        data = self._data("train", users=len(users), mllm=self.mllm_card.name)
        card = self._done(path, recipe, data)
        if card is None:
            folder = self.folder / "questions"
            mllm = question_stage.start(self.mllm_card, folder)
            images = self.judged_images if len(users) == len(self.train_users) else JudgedImages(users)
            progress = question_stage.teach(mllm, users, images, recipe, folder)
            if not self.main:
                return None
            mllm.save(self.mllm_folder)
            for name in progress:
                curve = folder / name / "loss.csv"
                draw_curve(curve, self.folder / f"{name}.png", title=f"ours: {name}")
            card = self._card("questions", recipe, progress, data)
            write_card(path, card)
            card |= self._measured(self.mllm_card.name, self.mllm_folder)
            write_card(path, card)
        if self.request.install and self.main:
            install_folder(self.mllm_folder, WEIGHTS / self.mllm_card.name)
        return card

    def layers(self) -> Card | None:
        """The layers that best distinguish users, and likes from dislikes; in `layers/`."""
        if not self.main:
            return None
        mllm, how, path = self._taught(), layer_stage.PROBED, self.folder / "layers" / "card.json"
        data = self._data("val", mllm=mllm.digest)
        card = self._done(path, how, data)
        if card is None:
            choice, worth = layer_stage.choose(mllm, self.suite, path.parent, how)
            choice.save(path.with_name(weights.LAYERS))
            card = self._card("layers", how, {}, data | worth)
            write_card(path, card)
        return card

    def injection(self) -> Card | None:
        """Fusion, alignment and the second cross-attention; in `final/`."""
        folder, final = self.folder / "injection", self.folder / "final"
        card = self.inject(self.injection_recipe(), folder, final)
        if card is None:
            return None
        config = weights.Config.load(final / weights.CONFIG)
        layers = self.folder / "layers"
        for name in (layer_stage.TABLE, layer_stage.FIGURE):
            shutil.copyfile(layers / name, final / name)
        card["layers"] = json.loads((layers / "card.json").read_text(encoding="utf-8"))["data"]
        write_card(final / "card.json", card)
        card |= self._measured(f"ours-{config.backbone}", final)
        write_card(final / "card.json", card)
        if self.request.install:
            with atomic_folder(WEIGHTS / f"ours-{config.backbone}") as fresh:
                shutil.copytree(final, fresh, dirs_exist_ok=True)
                # Installed weights lie beside those of the language model.
                replace(config, mllm=f"../{self.mllm_card.name}").save(fresh / weights.CONFIG)
        return card

    def inject(
        self, recipe: InjectionRecipe, folder: Path, final: Path, *, mllm: Path | None = None, reads: Path | None = None
    ) -> Card | None:
        """Trains an adapter by a recipe in `folder` and stores it in `final`.

        Args:
            mllm: folder of another language model than the one of the first stage.
            reads: folder for what it reads of histories, where trainings of several recipes share one.
        """
        layers, mllm_folder = self.layers_by(recipe.layers), mllm or self.mllm_folder
        language_model = self._taught(mllm_folder)
        beside = os.path.relpath(mllm_folder, final)
        source = self.source(recipe, language_model, beside, layers, picker=language_model)
        return self.inject_from(source, recipe, folder, final, reads=reads)

    def inject_from(
        self,
        source: injection_stage.UserSource,
        recipe: InjectionRecipe,
        folder: Path,
        final: Path,
        *,
        reads: Path | None = None,
    ) -> Card | None:
        """The same from any source of user vectors."""
        path = self.folder / "read.pt" if reads is None else reads / f"{source.identity(recipe)[:16]}.pt"
        histories = source.read(recipe, path)
        # In float16 the autoencoder of SDXL overflows, and gradients vanish.
        dtype = "bfloat16" if torch.cuda.is_available() else None
        backbone = load_backbone(self.sources.backbone or self.suite.card.backbone, dtype=dtype)
        tower = load_image_tower(backbone, recipe.image_tower)
        if self._embedded is None:  # trainings of several recipes share it
            self._embedded = tower(self.judged_images.images)
        injected = injection_stage.inject(source, histories, backbone, self._embedded, recipe, folder)
        if not self.main:
            return None
        config = replace(injected.config, image_tower_digest=tower.digest)
        weights.save(final, config, injected.adapter, source.layers, injected.scales)
        draw_curve(folder / "loss.csv", final.with_name(f"{final.name}.png"), title=f"{self.method}: injection")
        users = len(source.train_users)
        data = self._data("train", users=users, histories=len(histories), mllm=source.reader.digest)
        card = self._card("injection", recipe, {"injection": injected.progress}, data)
        card["alignment"] = dict(injected.alignment)
        write_card(final / "card.json", card)
        return card

    def unasked(self, folder: Path) -> Path:
        """A folder of the language model as it was before it answered any question; made once.

        A miniature has learned to see by then, from the first stage's own folder.
        """
        if not (folder / CARD_FILE).is_file():
            question_stage.start(self.mllm_card, self.folder / "questions").save(folder)
        return folder

    def source(
        self, recipe: InjectionRecipe, reader: HistoryReader, name: str, layers: Layers, *, picker: Mllm | None
    ) -> injection_stage.UserSource:
        """What a recipe's user vectors are made of; see `UserSource`."""
        users = self.train_users
        if 0 < recipe.train_users < len(users):
            order = np.random.default_rng([recipe.fit.seed, 5]).permutation(len(users))
            users = [users[int(i)] for i in sorted(order[: recipe.train_users])]
        return injection_stage.UserSource(
            name,
            reader,
            layers,
            users,
            self.judged_images,
            [judgment.prompt for one in self.train_users for judgment in judgments(one)],
            picker,
        )

    def layers_by(self, rule: LayerRule) -> Layers:
        """The layers of a rule, as the layer stage left them."""
        path = self.folder / "layers" / weights.LAYERS
        if not path.is_file():
            raise PrefbenchError(f"{path} does not exist; run -p stage=layers first")
        if rule == "chosen":
            return Layers.load(path)
        stored = json.loads(path.with_name("card.json").read_text(encoding="utf-8"))["data"].get("alternatives", {})
        if rule not in stored:
            raise PrefbenchError(f"{path.parent} knows no layers {rule!r}; run -p stage=layers again")
        return Layers.of_record(stored[rule])

    def _question_recipe(self) -> question_recipe.QuestionRecipe:
        recipe = question_recipe.MINIATURE if self.miniature else question_recipe.PREDECESSOR
        images, usual = self.request.images, recipe.questions.images
        return recipe if images is None else recipe.shortened(images / usual)

    def injection_recipe(self) -> InjectionRecipe:
        recipe = injection_recipe.MINIATURE if self.miniature else injection_recipe.FULL
        changed = {name: value for name, value in asdict(self.options).items() if value is not None}
        seed, images = changed.pop("seed", recipe.fit.seed), self.request.images or recipe.fit.images
        fit = replace(recipe.fit, images=images, seed=seed)
        return replace(recipe, fit=fit, image_tower=self.sources.image_tower or "", **changed)

    def _taught(self, folder: Path | None = None) -> Mllm:
        folder = folder or self.mllm_folder
        if not (folder / CARD_FILE).is_file():
            raise PrefbenchError(f"{folder} does not exist; run -p stage=questions first")
        return load_mllm(folder)

    @cached_property
    def train_users(self) -> Sequence[TrainUser]:
        """The train users with enough judgments per side to show a history and ask about others."""
        everyone = self.suite.train_users()
        usable = _usable(everyone)
        if not usable:
            name, n = self.suite.card.name, HELD_BACK
            raise PrefbenchError(f"suite {name!r} has no train user with more than {n} likes and {n} dislikes")
        if len(usable) < len(everyone):
            lost = len(everyone) - len(usable)
            logger.warning("%d of %d train users have too few judgments to learn from", lost, len(everyone))
        return usable

    def _more_users(self, populations: int) -> list[TrainUser]:
        """Train users of other populations, where the suite is of simulated people and has any."""
        suite = load("suite", self.sources.suite)
        if not populations or "population" not in inspect.signature(suite).parameters:
            return []
        seeds = range(_POPULATIONS_FROM, _POPULATIONS_FROM + populations)
        return [one for seed in seeds for one in _usable(suite(population=seed).train_users())]

    @cached_property
    def judged_images(self) -> JudgedImages:
        """The images that train users judged, decoded once for all stages."""
        return JudgedImages(self.train_users)

    def _data(self, split: str, **more: Any) -> Card:
        return {"suite": self.suite.card.name, "split": split, **more}

    def _done(self, path: Path, recipe: DataclassInstance, data: Card) -> Card | None:
        """The card of a finished stage; None where the call names a stage, which then runs again."""
        return None if self.stage is not None else finished_card(path, recipe, data)

    def _card(self, stage: str, recipe: DataclassInstance, progress: Mapping[str, Progress], data: Card) -> Card:
        return make_card(self.method, stage, recipe, progress, data, options=self._options())

    def _measured(self, name: str, folder: Path) -> Card:
        """The quality figures of the weights, where these are picturebook's, as shipped; empty otherwise."""
        return measured(name, folder) if self.miniature and self.suite.card.name == "picturebook" else {}

    def _options(self) -> str:
        """The options of this call, as the command line takes them."""
        options = {"stage": self.stage, **asdict(self.sources), **asdict(self.options)}
        usual = {"stage": None, **asdict(Sources()), **asdict(Options())}
        parameters = [f" -p {name}={value}" for name, value in options.items() if value != usual[name]]
        images = [] if self.request.images is None else [f" --images {self.request.images}"]
        return "".join(parameters + images)


def _usable(train_users: Sequence[TrainUser]) -> list[TrainUser]:
    """Those with enough judgments per side to show a history and ask about others."""
    return [x for x in train_users if min(len(x.history.liked), len(x.history.disliked)) > HELD_BACK]
