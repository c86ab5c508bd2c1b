"""The training task of the language model of `ours`, by counting and by naive loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prefbench.api import PrefbenchError, TrainUser
from prefbench.methods.ours.train import question_stage
from prefbench.methods.ours.train.conversations import (
    ConversationMaker,
    Sizes,
)
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.train.question_batches import QuestionBatches
from prefbench.methods.ours.train.question_recipe import MINIATURE
from prefbench.methods.ours.train.question_task import QuestionTask
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.training.loop import Batch, FitConfig
from tests.support.tiny_mllms import WIDTH
from tests.support.tiny_suite import train_user


@pytest.fixture
def batches(mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages) -> Callable[[bool], Batch]:
    def draw(pixels: bool) -> Batch:
        maker = ConversationMaker(judged_images.load)
        return QuestionBatches(mllm, train_users, judged_images, maker, Sizes(), pixels=pixels)(
            np.random.default_rng(3), 3
        )

    return draw


def test_image_tokens_stand_for_pixels(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch]
) -> None:
    """The same conversations give the same loss whether the vision tower runs or its tokens were kept."""
    mllm.model.eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(mllm.model.model.connector.perceiver_resampler.latents)  # all equal in a fresh one
    tokens = encode_images(mllm, judged_images.images).tokens
    assert tokens.shape == (len(judged_images.images), 4, WIDTH)
    with_pixels, without = batches(True), batches(False)
    assert "pixel_values" in with_pixels
    assert "pixel_values" not in without
    with torch.no_grad():
        seen = QuestionTask(mllm)(with_pixels)
        kept, moved = (QuestionTask(mllm, tower=rows)(without) for rows in (tokens, tokens.roll(1, 0)))
    assert abs(moved - kept) > 1e-4, "the loss does depend on them"
    assert abs(seen - kept) < 0.05 * abs(moved - kept)


def test_gradients_reach_the_language_model_and_not_frozen_eyes(mllm: Mllm, batches: Callable[[bool], Batch]) -> None:
    torch.autograd.backward(QuestionTask(mllm)(batches(True)))
    inside = mllm.model.model
    assert all(p.grad is None for part in (inside.vision_model, inside.connector) for p in part.parameters())
    gradients = [p.grad for p in inside.text_model.parameters() if p.requires_grad]
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_a_batch_without_a_word_to_teach_has_a_loss(mllm: Mllm, judged_images: JudgedImages) -> None:
    """Users of whom nobody knows what they like, asked nothing: transformers gives NaN."""
    wordless = [train_user(i, words=False) for i in range(2)]
    maker = ConversationMaker(judged_images.load, questions=0)
    batches = QuestionBatches(mllm, wordless, judged_images, maker, Sizes(), pixels=True)
    assert QuestionTask(mllm)(batches(np.random.default_rng(0), 2)) == 0


def test_checkpoints_hold_what_is_trained_alone(mllm: Mllm) -> None:
    state = QuestionTask(mllm).state_dict()
    assert any("text_model" in name for name in state)
    assert not any("vision_model" in name or "connector" in name for name in state)
    QuestionTask(mllm).load_state_dict(state)
    del state[next(name for name in state if "text_model" in name)]
    with pytest.raises(RuntimeError, match="text_model"):
        QuestionTask(mllm).load_state_dict(state)


@pytest.mark.slow
def test_the_miniatures_recipe_runs_and_goes_on(
    idefics2: Path, train_users: list[TrainUser], judged_images: JudgedImages, tmp_path: Path
) -> None:
    short = FitConfig(images=4, batch=2, ema=0.9, warmup_steps=1)
    recipe = replace(MINIATURE, questions=short, describing=None, sorting=None, verdicts=short)
    model = tune(load_mllm(idefics2, device="cpu"), "full")
    before = model.model.lm_head.weight.clone()
    progress = question_stage.teach(model, train_users, judged_images, recipe, tmp_path)
    assert {name: one.step for name, one in progress.items()} == {"verdicts": 2, "questions": 2}
    assert not torch.equal(before, model.model.lm_head.weight)
    longer = replace(recipe, questions=replace(short, images=6))
    again = tune(load_mllm(idefics2, device="cpu"), "full")
    further = question_stage.teach(again, train_users, judged_images, longer, tmp_path)
    assert [one.step for one in further.values()] == [2, 3]
    with pytest.raises(PrefbenchError, match=r"does not fit this training \(it was made by another recipe"):
        question_stage.teach(again, train_users, judged_images, replace(recipe, flip=0.1), tmp_path)
    with pytest.raises(PrefbenchError, match=r"tokens\.pt is of 56 pictures, this training of 14; use another --out"):
        question_stage.teach(again, train_users[:1], JudgedImages(train_users[:1]), recipe, tmp_path)
