"""Rows of examples without users."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from prefbench.api import Judgment, TrainUser
from prefbench.methods.ours.train.conversations import HELD_BACK, judgments
from prefbench.methods.ours.train.curriculum.sorted_pictures import SortedPictures
from tests.support.tiny_suite import train_user

USERS = [train_user(i, 20) for i in range(4)]
ALL = [judgment for one in USERS for judgment in judgments(one)]
ROW = {judgment.picture.digest: row for row, judgment in enumerate(ALL)}


@pytest.fixture(scope="module")
def tokens() -> Tensor:
    return torch.randn(len(ALL), 3, 4, generator=torch.Generator().manual_seed(0))


def rows_of(side: tuple[Judgment, ...]) -> list[int]:
    return [ROW[judgment.picture.digest] for judgment in side]


def test_both_sides_leave_enough_to_ask_about_and_differ(tokens: Tensor) -> None:
    draw, rng = SortedPictures(USERS, tokens), np.random.default_rng(0)
    for _ in range(50):
        one = draw(rng)
        liked, disliked = rows_of(one.history.liked), rows_of(one.history.disliked)
        assert min(len(liked), len(disliked)) > HELD_BACK
        assert not {*liked} & {*disliked}
        assert (one.likes, one.dislikes, dict(one.shows)) == ((), (), {}), "no words: no user said any"
        # Some phrase or direction tells the sides apart.
        about = np.concatenate([draw.shown, draw.looks], axis=1)
        gap = (about[liked].mean(0) - about[disliked].mean(0)) / np.maximum(about.std(0), 1e-6)
        assert np.abs(gap).max() > 0.5


def test_no_judgment_decides_a_side(tokens: Tensor) -> None:
    """The same rules come out whatever the users said."""
    flipped = [
        TrainUser(type(one.history)(one.history.user, one.history.disliked, one.history.liked), shows=one.shows)
        for one in USERS
    ]
    order = [ROW[judgment.picture.digest] for one in flipped for judgment in judgments(one)]
    first, second = SortedPictures(USERS, tokens), SortedPictures(flipped, tokens[order])
    second.judgments, second.shown, second.looks = first.judgments, second.shown[np.argsort(order)], first.looks
    assert (first.shown == second.shown).all()
    drawn = [make(np.random.default_rng(1)) for make in (first, second)]
    assert [*map(rows_of, (drawn[0].history.liked, drawn[0].history.disliked))] == [
        *map(rows_of, (drawn[1].history.liked, drawn[1].history.disliked))
    ]


def test_images_without_phrases_are_sorted_by_looks(tokens: Tensor) -> None:
    wordless = [TrainUser(one.history) for one in USERS]
    assert min(len(side) for side in _sides(SortedPictures(wordless, tokens))) >= 8


def _sides(draw: SortedPictures) -> tuple[tuple[Judgment, ...], tuple[Judgment, ...]]:
    one = draw(np.random.default_rng(2))
    return one.history.liked, one.history.disliked
