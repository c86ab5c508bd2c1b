"""Training on the word after each image of a history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import History, PrefbenchError, TrainUser
from prefbench.methods.ours.train import question_stage
from prefbench.methods.ours.train.conversations import ConversationMaker, Sizes
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.train.question_batches import QuestionBatches
from prefbench.methods.ours.train.question_recipe import MINIATURE
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.training.loop import FitConfig

MANY = 60


def is_red(image: Image.Image) -> bool:
    red, _, blue = np.asarray(image).reshape(-1, 3).mean(0)
    return bool(red > blue)


def test_the_word_follows_its_image_and_the_sides_are_mixed(
    train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    maker, rng = ConversationMaker(judged_images.load, layout="verdicts", flip=0.0), np.random.default_rng(0)
    runs = []
    for i in range(MANY):
        one = train_users[i % len(train_users)]
        made = maker(one, rng, (3, 3))
        history = made.conversation[0].parts[:-1]
        images, words = history[::2], history[1::2]
        assert [{"liked": 1, "disliked": -1}[str(word)] for word in words] == [*made.signs[: len(words)]]
        for image, word in zip(images, words, strict=True):
            assert isinstance(image, Image.Image)
            assert (is_red(image) == (one.likes[0] == "red")) == (word == "liked")
        runs.append(words)
    assert len(set(runs)) > 10, "in a random order"


def test_every_word_of_the_history_is_taught_and_no_image(
    mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    maker = ConversationMaker(judged_images.load, layout="verdicts", questions=2)
    plain, taught = (
        QuestionBatches(mllm, train_users, judged_images, maker, Sizes(), verdicts=verdicts)(
            np.random.default_rng(3), 5
        )
        for verdicts in (False, True)
    )
    assert plain["input_ids"].tolist() == taught["input_ids"].tolist()
    fresh = (taught["labels"] != IGNORED) & (plain["labels"] == IGNORED)
    assert (taught["labels"] == plain["labels"])[~fresh].all()
    rng = np.random.default_rng(3)
    sizes = Sizes().draw(rng)
    for row, user in enumerate(rng.integers(len(train_users), size=5).tolist()):
        own = [sign for sign in maker(train_users[user], rng, sizes).signs if sign]
        words = [mllm.tokenizer.decode([token]).strip() for token in taught["labels"][row][fresh[row]]]
        # A word of several tokens is known by its first.
        assert len(words) == len(own)
        assert [*words] == ["liked" if sign == 1 else "disliked" for sign in own]
        assert (taught["seen_at"][row][fresh[row]] == -1).all()


def test_most_batches_show_all_that_a_history_may_show(
    mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    maker = ConversationMaker(judged_images.load, layout="verdicts", questions=0)
    batches = QuestionBatches(mllm, train_users, judged_images, maker, Sizes(most=3, one_sided=0.0), full=1.0)
    batch = batches(np.random.default_rng(0), 4)
    assert [len({*row} - {-1}) for row in batch["seen_at"].tolist()] == [6] * 4


def test_two_pictures_of_one_question_are_of_one_pair(train_users: list[TrainUser]) -> None:
    told = train_users[0].history
    sides = [
        tuple(replace(judgment, pair=f"pair {i}") for i, judgment in enumerate(side))
        for side in (told.liked, told.disliked)
    ]
    one = replace(train_users[0], history=History(told.user, *sides))
    images = JudgedImages([one])
    number = {id(images.load(judgment)): judgment.pair for side in sides for judgment in side}
    maker = ConversationMaker(images.load, layout="verdicts", questions=3, paired=True)
    rng, asked = np.random.default_rng(0), 0
    for _ in range(MANY):
        for turn in maker(one, rng, (1, 1)).conversation[2:]:
            if len(turn.images) == 2:
                asked += 1
                assert len({number[id(image)] for image in turn.images}) == 1
    assert asked > MANY / 4


def test_the_recipe_teaches_rows_and_then_questions(
    idefics2: Path, train_users: list[TrainUser], judged_images: JudgedImages, tmp_path: Path,
) -> None:  # fmt: skip
    """What is stored says how histories are to be shown, and goes on where the same rows came before."""
    short = FitConfig(images=4, batch=2, warmup_steps=1)
    mllm = tune(load_mllm(idefics2, device="cpu"), "full")
    recipe = replace(MINIATURE, questions=short, describing=short, sorting=short, verdicts=short)
    question_stage.teach(mllm, train_users, judged_images, recipe, tmp_path / "out")
    other = tune(load_mllm(idefics2, device="cpu"), "full")
    with pytest.raises(PrefbenchError, match="made by another recipe"):
        question_stage.teach(other, train_users, judged_images, replace(recipe, describing=None), tmp_path / "out")
    mllm.save(tmp_path / "saved")
    assert load_mllm(tmp_path / "saved", device="cpu").card.history == "verdicts"
