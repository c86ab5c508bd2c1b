"""The training task of the language model of `ours`, by counting and by naive loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from prefbench.api import PrefbenchError, TrainUser
from prefbench.methods.ours.train import question_stage
from prefbench.methods.ours.train.conversations import (
    ConversationMaker,
    Sizes,
)
from prefbench.methods.ours.train.curriculum import losses
from prefbench.methods.ours.train.curriculum.losses import CurriculumLosses, summary_states
from prefbench.methods.ours.train.curriculum.teacher import Teacher
from prefbench.methods.ours.train.judged_images import JudgedImages, encode_images
from prefbench.methods.ours.train.question_batches import QuestionBatches
from prefbench.methods.ours.train.question_recipe import WITH_TEACHER as MINIATURE
from prefbench.methods.ours.train.question_task import QuestionTask
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.training.loop import Batch, FitConfig
from tests.support.tiny_mllms import WIDTH
from tests.support.tiny_suite import train_user


def test_summary_states_equal_a_naive_loop() -> None:
    rng = torch.Generator().manual_seed(0)
    states, mask = torch.randn(3, 7, 4, generator=rng), torch.ones(3, 7, dtype=torch.long)
    mask[0, :2], mask[2, :1] = 0, 0
    opened = torch.tensor([4, 6, 1])
    last, mean = summary_states(states, mask, opened)
    for row in range(3):
        before = [states[row, i] for i in range(int(opened[row]) + 1) if mask[row, i]]
        torch.testing.assert_close(last[row], states[row, opened[row]])
        torch.testing.assert_close(mean[row], torch.stack(before).mean(0))


@pytest.fixture
def batches(mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages) -> Callable[[bool], Batch]:
    def draw(pixels: bool) -> Batch:
        maker = ConversationMaker(judged_images.load)
        return QuestionBatches(mllm, train_users, judged_images, maker, Sizes(), pixels=pixels)(
            np.random.default_rng(3), 3
        )

    return draw


def features_of(judged_images: JudgedImages, width: int = 10) -> Tensor:
    return torch.randn(len(judged_images.images), width, generator=torch.Generator().manual_seed(5))


def task_of(
    mllm: Mllm, features: Tensor, *, teacher: Teacher | None = None, tower: Tensor | None = None
) -> QuestionTask:
    torch.manual_seed(0)
    curriculum = CurriculumLosses(mllm.width, features, head_weight=1.0, teacher=teacher)
    return QuestionTask(mllm, curriculum, tower=tower)


def test_image_tokens_stand_for_pixels(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch]
) -> None:
    """The same conversations give the same loss whether the vision tower runs or its tokens were kept."""
    mllm.model.eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(mllm.model.model.connector.perceiver_resampler.latents)  # all equal in a fresh one
    _, tokens = encode_images(mllm, judged_images.images)
    assert tokens.shape == (len(judged_images.images), 4, WIDTH)
    with_pixels, without = batches(True), batches(False)
    assert "pixel_values" in with_pixels
    assert "pixel_values" not in without
    features = features_of(judged_images)
    with torch.no_grad():
        seen = task_of(mllm, features)(with_pixels)
        kept, moved = (task_of(mllm, features, tower=rows)(without) for rows in (tokens, tokens.roll(1, 0)))
    assert abs(moved - kept) > 1e-4, "the loss does depend on them"
    assert abs(seen - kept) < 0.05 * abs(moved - kept)


def test_what_the_teacher_wants_is_its_user(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    features, found = features_of(judged_images), Teacher(10)
    assert found.correction is not None
    torch.nn.init.normal_(found.correction[-1].weight)
    task, batch = task_of(mllm, features, teacher=found), batches(True)
    wanted: list[Tensor] = []
    real = torch.nn.functional.mse_loss

    def noted(x: Tensor, y: Tensor) -> Tensor:
        wanted.append(y.detach())
        return real(x, y)

    monkeypatch.setattr(losses.F, "mse_loss", noted)
    task(batch)
    users = []
    for i in range(3):
        own = torch.nonzero(batch["owners"] == i).flatten()
        users.append(found.user(batch["signs"][own][None], features[batch["shown"][own]][None])[0])
    stacked = torch.stack(users)
    expected = stacked / stacked.std(0, correction=0).mean()
    torch.testing.assert_close(wanted[0], expected)
    torch.testing.assert_close(wanted[1], expected)
    judged = batch["signs"] != 0
    local = found.shown(batch["signs"][judged, None] * features[batch["shown"][judged]])
    torch.testing.assert_close(wanted[2], local / local.std(0, correction=0).mean())


def test_image_answers_point_where_answers_begin(
    mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    """Each names the token before yes or no, and the image that was asked about."""
    maker = ConversationMaker(judged_images.load, questions=5)
    batch = QuestionBatches(mllm, train_users, judged_images, maker, Sizes())(np.random.default_rng(8), 4)
    ids, decode = batch["input_ids"], mllm.tokenizer.decode
    assert len(batch["image_answers"]) > 4
    for row, column, image in batch["image_answers"].tolist():
        assert decode(ids[row, column + 1]).strip(" ,") in ("yes", "no")
        assert batch["labels"][row, column] == IGNORED
        assert batch["labels"][row, column + 1] == ids[row, column + 1]
        assert batch["owners"][image] == row
        assert batch["signs"][image] == 0, "not of the history"
        seen = torch.nonzero(batch["seen_at"][row] == image).flatten()
        assert len(seen) == 4
        assert seen.max() < column
        assert not (batch["seen_at"][row, seen.max() + 1 : column + 1] >= 0).any(), "the image just asked about"


def test_the_state_before_an_answer_must_hold_user_picture_and_agreement(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    features, found, batch = features_of(judged_images), Teacher(10).requires_grad_(False), batches(True)
    found.find_components(torch.randn(300, 64), features)
    wanted: list[Tensor] = []
    real = torch.nn.functional.mse_loss

    def noted(x: Tensor, y: Tensor) -> Tensor:
        wanted.append(y.detach())
        return real(x, y)

    monkeypatch.setattr(losses.F, "mse_loss", noted)
    task_of(mllm, features, teacher=found)(batch)
    rows, _, images = batch["image_answers"].T
    users = []
    for row in rows.tolist():
        own = torch.nonzero(batch["owners"] == row).flatten()
        users.append(found.user(batch["signs"][own][None], features[batch["shown"][own]][None])[0])
    user = torch.stack(users) @ found.user_components
    picture = features[batch["shown"][images]] @ found.picture_components
    parts = [part / part.std(0, correction=0).mean() for part in (user, picture, user * picture)]
    torch.testing.assert_close(wanted[3], torch.cat(parts, 1))


def test_the_parts_of_an_agreement_add_up_to_it() -> None:
    torch.manual_seed(2)
    found = Teacher(12, hidden=0).requires_grad_(False)
    features = torch.randn(400, 12)
    users = found.shown(torch.randn(500, 12))  # no more directions than parts
    found.find_components(users, features)
    _, _, products = found.agreement(users[:50], features[:50])
    whole = found.gain * (found.asked(features[:50]) * users[:50]).sum(1)
    torch.testing.assert_close(products.sum(1), whole, atol=1e-3, rtol=1e-2)
    variances = (users @ found.user_components).var(0)[:12] * (features @ found.picture_components).var(0)[:12]
    assert (variances[:-1] >= variances[1:] - 1e-4).all(), "the most important first"


def test_gradients_reach_the_language_model_and_not_frozen_eyes(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch]
) -> None:
    task = task_of(mllm, features_of(judged_images), teacher=Teacher(10).requires_grad_(False))
    torch.autograd.backward(task(batches(True)))
    assert len(task.terms) == 1 + 2 + 4
    inside = mllm.model.model
    assert all(p.grad is None for part in (inside.vision_model, inside.connector) for p in part.parameters())
    taught = task.curriculum
    assert taught is not None
    for module in (inside.text_model, *(taught.heads or ()), *(taught.followers or ()), taught.judge):
        assert module is not None
        gradients = [p.grad for p in module.parameters() if p.requires_grad]
        assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_a_batch_without_a_word_to_teach_has_a_loss(mllm: Mllm, judged_images: JudgedImages) -> None:
    """Users of whom nobody knows what they like, asked nothing: transformers gives NaN."""
    wordless = [train_user(i, words=False) for i in range(2)]
    batches = QuestionBatches(
        mllm, wordless, judged_images, ConversationMaker(judged_images.load, questions=0), Sizes(), pixels=True
    )
    loss = task_of(mllm, features_of(judged_images))(batches(np.random.default_rng(0), 2))
    assert torch.isfinite(loss)
    assert loss > 0, "the heads still learn"


def test_checkpoints_hold_what_is_trained_alone(mllm: Mllm, judged_images: JudgedImages) -> None:
    task = task_of(mllm, features_of(judged_images))
    state = task.state_dict()
    assert any("text_model" in name for name in state)
    assert not any("vision_model" in name or "connector" in name for name in state)
    other = task_of(mllm, features_of(judged_images))
    other.load_state_dict(state)
    former = {name.removeprefix("curriculum."): value for name, value in state.items()}
    assert "heads.0.user.1.weight" in former
    other.load_state_dict(former)  # as version 0.1 named them
    del state["curriculum.heads.0.user.1.weight"]
    with pytest.raises(RuntimeError, match=r"curriculum\.heads\.0\.user\.1\.weight"):
        other.load_state_dict(state)


def test_without_a_curriculum_answers_alone_are_taught(mllm: Mllm, batches: Callable[[bool], Batch]) -> None:
    task, batch = QuestionTask(mllm), batches(True)
    loss = task(batch)
    assert task.terms == (pytest.approx(loss.item()),)
    assert not any(name.startswith("curriculum") for name in task.state_dict())


@pytest.mark.slow
def test_the_miniatures_recipe_runs_and_goes_on(
    idefics2: Path, train_users: list[TrainUser], judged_images: JudgedImages, tmp_path: Path
) -> None:
    short = FitConfig(images=4, batch=2, ema=0.9, warmup_steps=1)
    recipe = replace(MINIATURE, summary_pretraining=short, questions=short, metric_steps=3, teacher_steps=3)
    model = tune(load_mllm(idefics2, device="cpu"), "full")
    before = model.model.lm_head.weight.clone()
    progress = question_stage.teach(model, train_users, judged_images, recipe, tmp_path)
    assert {name: one.step for name, one in progress.items()} == {"summary_pretraining": 2, "questions": 2}
    assert not torch.equal(before, model.model.lm_head.weight)
    longer = replace(recipe, questions=replace(short, images=6))
    again = tune(load_mllm(idefics2, device="cpu"), "full")
    further = question_stage.teach(again, train_users, judged_images, longer, tmp_path)
    assert [one.step for one in further.values()] == [2, 3]
    with pytest.raises(PrefbenchError, match=r"does not fit this training \(it was made by another recipe"):
        question_stage.teach(again, train_users, judged_images, replace(recipe, flip=0.1), tmp_path)
    with pytest.raises(PrefbenchError, match=r"seen\.pt is of 56 pictures, this training of 14; use another --out"):
        question_stage.teach(again, train_users[:1], JudgedImages(train_users[:1]), recipe, tmp_path)
