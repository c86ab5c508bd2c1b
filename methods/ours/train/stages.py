"""`prefbench train ours`: questions, layers, injection; each stage resumes, writes a card, and can be run by itself."""

from __future__ import annotations

import logging
from typing import Annotated

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.training.requests import TrainRequest

from ..alignment import Alignment
from ..vectors import LayerRule
from .injection_recipe import Targets
from .job import STAGES, Job, Options, Sources, Stage
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
    targets: Targets | None = None,
    layers: LayerRule | None = None,
    alignment: Alignment | None = None,
    alignment_weight: float | None = None,
    train_users: int | None = None,
    attention_rate: float | None = None,
    seed: int | None = None,
) -> Card | None:
    """Runs all stages or one; returns the last one's card, in the main process alone.

    `request.images` is the length of the stage that is named: conversations for `questions`, whose rows before them
    are shortened alike, and images for `injection`. Without a stage the same call again goes on where the
    last one stopped.

    Args:
        stage: this one alone.
        suite: whose train users to learn from.
        backbone: a registered backbone or a folder; None for the suite's.
        mllm: a registered language model or a folder.
        image_tower: a hub id or a folder in place of the CLIP image tower that belongs to the backbone.
        targets: what the injection learns to draw: other pictures that the user likes (`likes`), those alone that were
            chosen from a pair (`chosen`), or the best of some by the language model's own verdicts (`picks`).
        layers: which layers make up the user vector: those that the probes chose (`chosen`), or others that a layer
            stage keeps for comparison.
        alignment, alignment_weight: the loss on the mapped `e_sem` against what users like in words, and its weight;
            the denoising loss has 1.
        train_users: the injection learns from so many users; 0 for all.
        attention_rate: factor on the learning rate of keys and values of the second cross-attention; 0 leaves them as
            the text's.
        seed: of the injection.

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
    options = Options(targets, layers, alignment, alignment_weight, train_users, attention_rate, seed)
    _check(options)
    job = Job(request, Sources(suite, backbone, mllm, image_tower), stage, options)
    card: Card | None = None
    for name in STAGES if stage is None else [stage]:
        logger.info("ours: stage %s", name)
        card = getattr(job, name)()
        job.accelerator.wait_for_everyone()
    return card


def _check(options: Options) -> None:
    for name in ("alignment_weight", "attention_rate", "train_users", "seed"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < float("inf"):
            raise PrefbenchError(f"{name} must be 0 or more and finite, got {value}")
    if options.train_users is not None and 0 < options.train_users < 2:
        raise PrefbenchError("train_users must be 0 for all, or at least 2")
