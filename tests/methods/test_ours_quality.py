"""What a language model is said to know of its users: with models whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prefbench.methods.ours.train.quality import like_answers, order_sensitivity
from prefbench.models.mllms.conversation import Conversation, images_of
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.states import HiddenStates
from tests.support.tiny_suite import TinySuite


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
