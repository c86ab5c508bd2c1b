"""`prefbench train ours`: questions, layers, injection; each stage resumes, writes a card, and can be run by itself."""

from __future__ import annotations

import logging
from typing import Annotated

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.training.requests import TrainRequest

from .job import STAGES, Job, Sources, Stage
from .stage_card import Card

logger = logging.getLogger(__name__)

_COUNTING: tuple[Stage, ...] = ("questions", "injection")
"""Stages that have a length."""


def train(
    request: TrainRequest,
    *,
    stage: Stage | None = None,
    suite: Annotated[str, "suite"] = Sources.suite,
    backbone: Annotated[str | None, "backbone"] = None,
    mllm: Annotated[str, "mllm"] = Sources.mllm,
    image_tower: str | None = None,
    teacher: bool = False,
) -> Card | None:
    """Runs all stages or one; returns the last one's card, in the main process alone.

    `request.images` is the length of the stage that is named: conversations for `questions`, whose summary
    pretraining is shortened alike, and images for `injection`. Without a stage the same call again goes on where the
    last one stopped.

    Args:
        stage: this one alone.
        suite: whose train users to learn from.
        backbone: a registered backbone or a folder; None for the suite's.
        mllm: a registered language model or a folder.
        image_tower: a hub id or a folder in place of the CLIP image tower that belongs to the backbone.
        teacher: train the miniature's language model by the recipe of version 0.2's weights, with a teacher, heads and
            synthetic users; without it, by questions alone.

    Raises:
        PrefbenchError: an unknown stage; a suite without train users; a stage whose predecessor has not run; an image
            that cannot be read. What was trained before is kept.
    """
    if stage is not None and stage not in STAGES:
        raise PrefbenchError(unknown("stage", stage, list(STAGES)))
    if request.images is not None and stage not in _COUNTING:
        raise PrefbenchError(
            "--images needs -p stage=questions or -p stage=injection: the one counts conversations, the other images"
        )
    if request.images is not None and request.images < 1:
        raise PrefbenchError(f"--images must be at least 1, got {request.images}")
    job = Job(request, Sources(suite, backbone, mllm, image_tower, teacher), stage)
    card: Card | None = None
    for name in STAGES if stage is None else [stage]:
        logger.info("ours: stage %s", name)
        card = getattr(job, name)()
        job.accelerator.wait_for_everyone()
    return card
