"""Rows of judged pictures."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from prefbench.api import History, Judgment, TrainUser
from prefbench.methods.ours.train.conversations import judgments
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.train.sorted_pictures import SortedPictures
from prefbench.methods.ours.train.verdict_task import PICTURES, VerdictRows, VerdictTask
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.model import Mllm
from tests.support.tiny_suite import picture


@pytest.fixture
def tower(mllm: Mllm, judged_images: JudgedImages) -> Tensor:
    return encode_images(mllm, judged_images.images).tokens


@pytest.fixture
def rules(tower: Tensor, train_users: list[TrainUser]) -> SortedPictures:
    return SortedPictures(tower, [judgment.prompt for one in train_users for judgment in judgments(one)])


def test_a_row_is_of_one_user_and_says_what_the_user_said(
    train_users: list[TrainUser], judged_images: JudgedImages, rules: SortedPictures
) -> None:
    told = [
        {
            judged_images.row(judgment): side
            for side, of_side in enumerate((h.disliked, h.liked))
            for judgment in of_side
        }
        for h in (one.history for one in train_users)
    ]
    for flip in (0.0, 1.0):
        rows = VerdictRows(train_users, judged_images.rows, rules, flip=flip, ruled=0.0)
        batch = rows(np.random.default_rng(0), 12)
        assert batch["shown"].shape == batch["liked"].shape == (12, PICTURES)
        for shown, liked in zip(batch["shown"].tolist(), batch["liked"].tolist(), strict=True):
            owner = next(one for one in told if shown[0] in one)
            assert [owner[row] ^ (flip == 1.0) for row in shown] == liked
            assert 13 <= sum(liked) <= 19
            assert liked != sorted(liked), "in a random order"


def test_of_a_pair_a_row_shows_one_picture_alone(rules: SortedPictures) -> None:
    """Whoever is asked about the other picture of a pair knows the answer from the first."""
    liked = [Judgment(picture("red", i), "a fox", True, pair=f"{i}") for i in range(40)]
    disliked = [Judgment(picture("blue", i), "a fox", False, pair=f"{i}") for i in range(40)]
    rows = {one.picture.digest: i for i, one in enumerate([*liked, *disliked])}
    drawn = VerdictRows([TrainUser(History("u", tuple(liked), tuple(disliked)))], rows, rules, flip=0.5, ruled=0.0)
    for shown in drawn(np.random.default_rng(0), 20)["shown"].tolist():
        assert len({row % 40 for row in shown}) == PICTURES


def test_a_model_learns_the_words_after_pictures_from_the_rows_alone(
    mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages, rules: SortedPictures, tower: Tensor
) -> None:
    """Loss, gradient and what they depend on: the pictures before, never those after."""
    task = VerdictTask(mllm, tower)
    batch = VerdictRows(train_users, judged_images.rows, rules, flip=0.5, ruled=0.5)(np.random.default_rng(1), 2)
    loss = task(batch)
    loss.backward()
    assert loss.isfinite()
    language = mllm.model.model.text_model
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in language.parameters())
    words = task._ids[:, task._words_at]
    assert [*map(len, map(set, words.tolist()))] == [1, 1], "one word per row"
    assert {mllm.tokenizer.decode([int(row[0])]).strip() for row in words} == {"liked", "disliked"}
    shows = task._ids[0] == mllm.model.config.image_token_id
    assert int(shows.sum()) == PICTURES * tower.shape[1]
