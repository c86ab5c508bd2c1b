"""What a language model is said to know of its users: with models whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prefbench.api import History, Judgment, TrainUser
from prefbench.methods.ours.train.quality import like_answers, order_sensitivity, phrase_verdicts
from prefbench.models.mllms.conversation import Conversation, images_of
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.states import HiddenStates
from tests.support.tiny_suite import TinySuite, picture


def redness(image: Image.Image) -> float:
    red, _, blue = np.asarray(image, dtype=np.float64).reshape(-1, 3).mean(0)
    return float(red - blue)


class Knowing:
    """Says yes to the colour of the first image of its history, which is a liked one; its state is that colour."""

    processor = None

    judges_in_turn = counts_alike = False

    def __init__(self, *, of: int = 0) -> None:
        self.of, self.asked = of, 0

    def answers(self, conversations: Sequence[Conversation], **_: Any) -> list[str]:
        return ["red"] * len(conversations)

    def first_words(self, conversations: Sequence[Conversation], words: Sequence[str], **_: Any) -> Tensor:
        assert list(words) == ["yes", "no"]
        self.asked += len(conversations)
        shown = [images_of(conversation) for conversation in conversations]
        yes = torch.tensor([redness(images[self.of]) * redness(images[-1]) > 0 for images in shown]).double()
        return torch.stack([0.9 * yes + 0.05, 0.95 - 0.9 * yes], 1)

    def states(self, conversations: Sequence[Conversation], **_: Any) -> HiddenStates:
        values = torch.tensor([[redness(images_of(conversation)[self.of])] for conversation in conversations])
        return HiddenStates(values[:, None], values[:, None], values[:, None])


def knowing(of: int = 0) -> Mllm:
    return cast(Mllm, Knowing(of=of))


def test_one_who_knows_is_always_right() -> None:
    model, suite = knowing(), TinySuite()
    found = like_answers(model, suite, "val")
    assert len(found.yes) == 20 * 8 == cast(Knowing, model).asked
    assert found.questions.liked.sum() == 80
    right = found.accuracy()
    assert right.accuracy.value == right.auc.value == 1.0
    assert right.accuracy.n_users == 20
    assert found.accuracy("user").accuracy.value == 1.0


def test_one_who_takes_likes_for_dislikes_is_always_wrong() -> None:
    assert like_answers(knowing(of=-2), TinySuite(), "val").accuracy().accuracy.value == 0.0


def test_fewer_images_can_be_asked_about() -> None:
    assert len(like_answers(knowing(), TinySuite(), "val", most=1).yes) == 40


@pytest.mark.slow
def test_the_order_matters_to_those_who_look_at_one_image_alone() -> None:
    suite = TinySuite()
    same = order_sensitivity(knowing(), suite, "val")
    assert same.answers == 0.0, "all likes have one colour"
    assert same.states < 0.01

    class Fickle(Knowing):
        """Listens to a detail of the first image alone."""

        def first_words(self, conversations: Sequence[Conversation], words: Sequence[str], **_: Any) -> Tensor:
            assert words
            firsts = [images_of(conversation)[0].size[0] for conversation in conversations]
            yes = torch.tensor([size % 2 for size in firsts]).double()
            return torch.stack([yes, 1 - yes], 1)

        def states(self, conversations: Sequence[Conversation], **_: Any) -> HiddenStates:
            values = torch.tensor([[float(images_of(c)[0].size[0] % 2)] for c in conversations])
            return HiddenStates(values[:, None], values[:, None], values[:, None])

    other = order_sensitivity(cast(Mllm, Fickle()), suite, "val")
    assert 0.2 < other.answers < 0.8
    assert other.states == pytest.approx(1.0, abs=0.1)


def test_phrases_are_right_where_liked_ones_have_the_higher_verdicts() -> None:
    """Within each user who named phrases of both sides that the model judges, after the first judgments."""
    verdicts = {"ann": [0.9, 0.1, -0.9], "bob": [-0.5, 0.5, 0.0], "cem": [1.0, 0.0, 0.0]}
    likes = {"ann": ("red",), "bob": ("red", "unheard"), "cem": ("red",)}
    dislikes = {"ann": ("blue", "big"), "bob": ("big", "blue"), "cem": ("unheard",)}
    judged = tuple(Judgment(picture("red", i), "a fox", True) for i in range(9))
    users = [TrainUser(History(user, judged, judged), likes[user], dislikes[user]) for user in verdicts]

    class Judging(Knowing):
        card = SimpleNamespace(judged_phrases=("red", "big", "blue"))

        def states(self, conversations: Sequence[Conversation], **_: Any) -> HiddenStates:
            assert [len(images_of(one)) for one in conversations] == [16, 16], "of the two who are asked about"
            zeros = torch.zeros(2, 1, 1)
            told = torch.tensor([verdicts["ann"], verdicts["bob"]])
            return HiddenStates(zeros, zeros, zeros).with_phrases([torch.zeros(2, 3, 1)], told)

    assert phrase_verdicts(cast(Mllm, Judging()), users) == pytest.approx((1.0 + 0.0) / 2)
    assert np.isnan(phrase_verdicts(cast(Mllm, Judging()), users[2:]))
