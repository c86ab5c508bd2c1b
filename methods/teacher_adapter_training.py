"""`prefbench train teacher-adapter`: two matrices, then the injection of `ours` on their user vectors."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Annotated, Any

from accelerate import Accelerator

from prefbench.api import PrefbenchError
from prefbench.models.folders import atomic_folder, install_folder
from prefbench.models.mllms.loader import load_mllm
from prefbench.registry import default
from prefbench.training.requests import TrainRequest

from .ours import weights
from .ours.train.conversations import users_of
from .ours.train.injection_recipe import Targets
from .ours.train.job import Job, Options, Sources
from .shared.taste_reader import FILE, LAYERS, TasteReader
from .shared.trained_adapter import MllmEyes

logger = logging.getLogger(__name__)

METHOD = "teacher-adapter"


def train(
    request: TrainRequest,
    *,
    suite: Annotated[str, "suite"] = default("suite"),
    backbone: Annotated[str | None, "backbone"] = None,
    mllm: Annotated[str, "mllm"] = default("mllm"),
    image_tower: str | None = None,
    targets: Targets = "likes",
    seed: int = 0,
) -> dict[str, Any] | None:
    """Trains on what the suite's train users judged, of as many images and by the recipe of `ours`.

    Drawn with by `prefbench run --method teacher-adapter -p weights=FOLDER/final`.

    Args:
        mllm: a language model, registered or a folder, whose vision tower both matrices see with; with
            `targets=picks` its verdicts are the picks.
        image_tower: a hub id or a folder in place of the backbone's own image tower.
        targets: `likes`, `chosen` or `picks`, as for `ours`.

    Raises:
        PrefbenchError: a suite without train users who judged enough; models that are not here; a seed below 0.
    """
    if seed < 0:
        raise PrefbenchError(f"seed must be 0 or more, got {seed}")
    if request.install and Path(mllm).is_dir():
        raise PrefbenchError("weights are installed beside those of a registered language model; give -p mllm its name")
    options = Options(targets=targets, seed=seed)
    job = Job(request, Sources(suite, backbone, mllm, image_tower), options=options, method=METHOD)
    language_model, final = load_mllm(mllm), request.folder / "final"
    taste = _learned(job, MllmEyes(language_model))
    recipe = job.injection_recipe()
    name = os.path.relpath(mllm, final) if Path(mllm).is_dir() else mllm
    source = job.source(recipe, taste, name, LAYERS, picker=language_model if targets == "picks" else None)
    card = job.inject_from(source, recipe, request.folder / "injection", final)
    if card is None:
        return None
    taste.save(final)
    if request.install:
        backbone_name = weights.Config.load(final / weights.CONFIG).backbone
        install_folder(final, weights.folder_for(backbone_name, METHOD))
    return card


def _learned(job: Job, eyes: MllmEyes) -> TasteReader:
    """The preference model; one of the same users and eyes is learned once in a folder."""
    made_of = hashlib.sha256(f"{eyes.digest} {users_of(job.train_users)}".encode()).hexdigest()
    folder = job.folder / "taste" / made_of[:16]
    with Accelerator().main_process_first():
        if not (folder / FILE).is_file():
            logger.info("%s: learning what %d users like", METHOD, len(job.train_users))
            with atomic_folder(folder) as fresh:
                TasteReader.learn(job.train_users, job.judged_images, eyes).save(fresh)
    return TasteReader.load(folder, eyes)
