"""Rows of pictures of one token each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.api import History, Judgment, TrainUser
from prefbench.methods.ours.train.conversations import judgments
from prefbench.methods.ours.train.curriculum.sorted_pictures import SortedPictures
from prefbench.methods.ours.train.judged_images import JudgedImages, encode_images
from prefbench.methods.ours.train.verdict_task import (
    PICTURES,
    VerdictRows,
    VerdictTask,
    attention_of_copies,
    positions_of_copies,
)
from prefbench.methods.shared.questions import TEMPLATES
from prefbench.models.mllms.conversation import ask
from prefbench.models.mllms.model import Mllm
from prefbench.suites.picturebook.miniatures.cards import MINI_MLLM
from prefbench.suites.picturebook.miniatures.mini_mllm import LATENTS, build_mini_mllm
from tests.support.tiny_suite import picture


@pytest.fixture
def tower(mllm: Mllm, judged_images: JudgedImages) -> Tensor:
    return encode_images(mllm, judged_images.images)[1]


@pytest.fixture
def rules(tower: Tensor, train_users: list[TrainUser]) -> SortedPictures:
    return SortedPictures(tower, [judgment.prompt for one in train_users for judgment in judgments(one)])


def local_layer() -> Mllm:
    """The untrained miniature without its other layers."""
    model, processor = build_mini_mllm(TEMPLATES.texts())
    language = model.model.text_model
    language.layers = language.layers[:1]
    card = replace(MINI_MLLM, history="verdicts")
    return Mllm(card, model.eval(), processor, folder=None, device=torch.device("cpu"))


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
    assert int(shows.sum()) == PICTURES, "one token per picture"


@pytest.mark.parametrize("window", [None, 4])
def test_a_token_that_counts_as_several_is_attended_to_like_so_many(window: int | None) -> None:
    """Every copy is written out, and those are counted that the middle copy of each token sees."""
    counts = torch.tensor([1, 3, 1, 2, 1])
    owners = torch.repeat_interleave(torch.arange(5), counts).tolist()
    middles = [0, 2, 4, 5, 7]
    assert positions_of_copies(counts).tolist() == middles
    added = attention_of_copies(counts, window)
    for row, at in enumerate(middles):
        seen = [owners[other] for other in range(at + 1) if window is None or other > at - window]
        for column in range(5):
            copies = seen.count(column)
            assert added[row, column] == (pytest.approx(np.log(copies)) if copies else torch.finfo(torch.float32).min)


def test_a_picture_that_counts_as_twelve_tokens_is_one_of_twelve_equal_tokens() -> None:
    """By states of words after the first layer of the miniature, in which positions do not count, and their mask."""
    mini = local_layer()
    task, states = VerdictTask(mini, torch.randn(PICTURES, LATENTS, mini.width)), []
    mini.model.model.text_model.register_forward_hook(lambda *args: states.append(args[-1].last_hidden_state[0]))
    liked = torch.arange(PICTURES)[None] % 2
    words, picture = (TEMPLATES.disliked[0], TEMPLATES.liked[0]), Image.new("RGB", (8, 8))
    parts = [part for side in liked[0].tolist() for part in (picture, words[side])]
    inputs = mini.batch([[ask(*parts)]], to_be_answered=False, pixels=False)
    equal = BaseModelOutputWithPooling(pooler_output=list(task._tokens[:, None].expand(-1, LATENTS, -1)))
    with torch.no_grad():
        for copies in (LATENTS, 1):
            task({"shown": torch.arange(PICTURES)[None], "liked": liked, "copies": torch.tensor([copies])})
        mini.model(**inputs, mm_encoder_outputs={"image": equal}, use_cache=False)
    is_word = inputs["input_ids"][0] != mini.model.config.image_token_id
    counted, single = (row[~task._shows] for row in states[:2])
    written_out = states[2][is_word][: len(counted)]
    torch.testing.assert_close(counted, written_out, atol=1e-5, rtol=1e-4)
    assert (single - written_out).abs().max() > 0.1


@pytest.mark.parametrize("copies", [1, 5, LATENTS])
def test_local_layers_look_no_further_than_a_picture_and_its_word(copies: int) -> None:
    """A word's state after the first layer is of its own picture, however many tokens that counts as."""
    mini = local_layer()
    task, states = VerdictTask(mini, torch.randn(PICTURES + 1, LATENTS, mini.width)), []
    mini.model.model.text_model.register_forward_hook(lambda *args: states.append(args[-1].last_hidden_state[0]))
    batch = {"liked": torch.zeros(1, PICTURES, dtype=torch.long), "copies": torch.tensor([copies])}
    with torch.no_grad():
        for first in (0, PICTURES):
            task(batch | {"shown": torch.cat([torch.tensor([first]), torch.arange(1, PICTURES)])[None]})
    moved = (states[0] != states[1]).any(1)
    own, following = task._words_at[:2]
    assert moved[own], "the word after the picture that differs"
    assert not moved[following:].any(), "the next word, and all after it"


def test_a_batch_counts_its_pictures_as_one_number_of_copies(
    train_users: list[TrainUser], judged_images: JudgedImages, rules: SortedPictures
) -> None:
    rows = VerdictRows(train_users, judged_images.rows, rules, flip=0.5, ruled=0.5, copies=12)
    drawn = [rows(np.random.default_rng(seed), 3)["copies"].tolist() for seed in range(60)]
    assert all(len(set(batch)) == 1 for batch in drawn)
    assert {min(b[0] for b in drawn), max(b[0] for b in drawn)} == {1, 12}
    alone = VerdictRows(train_users, judged_images.rows, rules, flip=0.5, ruled=0.5)
    assert alone(np.random.default_rng(0), 2)["copies"].tolist() == [1, 1]
