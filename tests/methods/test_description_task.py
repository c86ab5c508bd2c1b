"""Rows of pictures and what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from prefbench.api import TrainUser
from prefbench.methods.ours.train.conversations import judgments
from prefbench.methods.ours.train.description_task import PICTURES, DescriptionRows, DescriptionTask
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.model import IGNORED, Mllm


@pytest.fixture
def rows(mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages) -> DescriptionRows:
    return DescriptionRows(mllm, train_users, judged_images)


def test_after_each_picture_its_prompt_and_phrases_are_taught_and_nothing_else(
    rows: DescriptionRows, mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    phrases = {
        judged_images.row(j): {j.prompt, *one.shows[j.picture.digest]} for one in train_users for j in judgments(one)
    }
    batch = rows(np.random.default_rng(0), 3)
    assert batch["shown"].shape == (3, PICTURES)
    shows = batch["input_ids"] == mllm.model.config.image_token_id
    for ids, labels, seen, shown in zip(batch["input_ids"], batch["labels"], shows, batch["shown"], strict=True):
        assert torch.equal(labels[labels != IGNORED], ids[labels != IGNORED])
        begins = torch.nonzero(seen & ~seen.roll(1)).flatten().tolist()
        assert len(begins) == PICTURES
        assert (labels[: begins[0]] == IGNORED).all(), "the question is not taught"
        for row, start, stop in zip(shown.tolist(), begins, [*begins[1:], len(ids)], strict=True):
            words = mllm.tokenizer.decode(labels[start:stop][labels[start:stop] != IGNORED])
            assert {word.strip() for word in words.split(",")} == phrases[row]


def test_pictures_without_words_are_left_out(
    mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    silent = [replace(one, shows={}) for one in train_users[1:]]
    assert not DescriptionRows(mllm, silent, judged_images)
    some = DescriptionRows(mllm, [train_users[0], *silent], judged_images)
    assert len(some) == len(judgments(train_users[0]))


def test_a_model_learns_to_say_what_pictures_show(
    rows: DescriptionRows, mllm: Mllm, judged_images: JudgedImages
) -> None:
    task = DescriptionTask(mllm, encode_images(mllm, judged_images.images).tokens)
    optimiser = torch.optim.AdamW([p for p in task.parameters() if p.requires_grad], lr=3e-3)
    batch = rows(np.random.default_rng(1), 2)
    first = task(batch).item()
    for _ in range(15):
        optimiser.zero_grad()
        loss = task(batch)
        loss.backward()
        optimiser.step()
    assert loss.item() < first - 0.5
