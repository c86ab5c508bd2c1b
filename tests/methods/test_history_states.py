"""Histories of the injection: pairs of one prompt, and another liked picture, of another prompt, to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prefbench.api import History, Judgment, TrainUser
from prefbench.methods.ours.train.history_states import TrainingHistory, draw_histories, read_histories
from prefbench.methods.ours.train.injection_recipe import MINIATURE
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.vectors import Layers
from prefbench.models.mllms.model import Mllm
from tests.support.tiny_suite import picture

MANY = 60


def pair(user: int, i: int, *, rated: bool) -> tuple[Judgment, Judgment]:
    """A liked and a disliked picture of one prompt."""
    name = None if rated else f"{user}/{i}"
    made = (
        Judgment(picture(colour, 100 * user + i), f"prompt {i // 2}", liked, pair=name)
        for colour, liked in (("red", True), ("blue", False))
    )
    first, second = made
    return first, second


def person(user: int, *, rated: bool = False, each: int = 14) -> TrainUser:
    liked, disliked = zip(*(pair(user, i, rated=rated) for i in range(each)), strict=True)
    return TrainUser(History(f"user {user}", liked, disliked), ("red", "with a star"), ("blue",))


def drawn(users: Sequence[TrainUser], *, flipped: float = 0.0, **changes: Any) -> list[TrainingHistory]:
    return draw_histories(users, replace(MINIATURE, histories=MANY, flipped=flipped, **changes))


def test_a_target_is_another_like_under_a_prompt_that_the_history_does_not_show() -> None:
    for history, wanted, likes in drawn([person(0)]):
        digests = {judgment.picture.digest for judgment in (*history.liked, *history.disliked)}
        prompts = {judgment.prompt for judgment in (*history.liked, *history.disliked)}
        assert wanted
        assert all(judgment.liked and judgment.picture.digest not in digests for judgment in wanted)
        if len(prompts) < 5:  # another prompt is left
            assert not prompts & {judgment.prompt for judgment in wanted}
        assert likes == "red, with a star"


def test_dislikes_are_the_rejected_of_the_pairs_that_are_shown() -> None:
    histories = [one.history for one in drawn([person(0)]) if one.history.liked and one.history.disliked]
    assert len(histories) > MANY / 2
    for history in histories:
        assert [j.pair for j in history.disliked] == [j.pair for j in history.liked[: len(history.disliked)]]


def test_ratings_have_no_pairs_and_are_shown_all_the_same() -> None:
    histories = drawn([person(1, rated=True)])
    assert all(one.wanted for one in histories)
    assert sum(bool(one.history.liked and one.history.disliked) for one in histories) > MANY / 2


def test_chosen_targets_come_from_pairs() -> None:
    mixed = person(0)
    rated = person(2, rated=True)
    both = TrainUser(
        History("both", mixed.history.liked + rated.history.liked, mixed.history.disliked + rated.history.disliked)
    )
    assert all(j.pair for one in drawn([both], targets="chosen") for j in one.wanted)
    assert any(j.pair is None for one in drawn([both]) for j in one.wanted)


def test_without_dislikes_likes_alone_are_shown() -> None:
    assert not any(one.history.disliked for one in drawn([person(0)], dislikes=False))
    assert all(one.history.liked for one in drawn([person(0)], dislikes=False))


def test_users_are_as_they_are_unless_the_recipe_reverses_them() -> None:
    new, old = (drawn([person(0)], flipped=share) for share in (0.0, 0.5))
    assert {one.likes for one in new} == {"red, with a star"}
    assert {one.likes for one in old} == {"red, with a star", "blue"}
    reversed_ = [one for one in old if one.likes == "blue"]
    assert len(reversed_) == pytest.approx(MANY / 2, abs=MANY / 5)
    assert not any(judgment.liked for one in reversed_ for judgment in (*one.wanted, *one.history.liked))


def test_histories_are_read_whatever_their_sizes(mllm: Mllm) -> None:
    users = [person(0), person(1)]
    judged_images, layers = JudgedImages(users), Layers((2,), (1,), "last")
    histories = draw_histories(users, replace(MINIATURE, histories=4))
    together = read_histories(mllm, histories, judged_images, layers)
    assert (len(together), together.sem.shape, together.core.shape) == (8, (8, mllm.width), (8, mllm.width))
    alone = read_histories(mllm, histories[3:4], judged_images, layers)
    np.testing.assert_allclose(together.sem[3], alone.sem[0], atol=1e-4)
    assert [together.shown[3], together.wanted[3]] == [alone.shown[0], alone.wanted[0]]
    assert not set(together.shown[3]) & set(together.wanted[3])
