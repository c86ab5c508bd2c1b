"""Phrases that rows of pictures are asked about, and their labels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import History, Judgment, TrainUser
from prefbench.methods.ours.train.phrase_labels import ASKED, PhraseLabels
from prefbench.models.mllms.model import IGNORED
from tests.support.tiny_suite import picture

LIKED = tuple(Judgment(picture("red", i), "a fox", True) for i in range(6))
DISLIKED = tuple(Judgment(picture("blue", i), "a fox", False) for i in range(6))
ROWS = {one.picture.digest: i for i, one in enumerate((*LIKED, *DISLIKED))}
SHOWS = {one.picture.digest: ("snow", "red") for one in LIKED} | {one.picture.digest: ("snow",) for one in DISLIKED}
ANN = TrainUser(History("ann", LIKED, DISLIKED), ("red", "big"), ("blue", "snow", "old", "wet", "dry"), SHOWS)
BOB = TrainUser(History("bob", LIKED, DISLIKED), ("snow",), ())


@pytest.fixture
def labels() -> PhraseLabels:
    return PhraseLabels([ANN, BOB], ROWS)


def told(labels: PhraseLabels, asked: NDArray[np.int64], liked: NDArray[np.int64]) -> dict[str, int]:
    assert asked.shape == liked.shape == (ASKED,)
    known = liked != IGNORED
    return {labels.phrases[i]: int(is_liked) for i, is_liked in zip(asked[known], liked[known], strict=True)}


def test_a_user_is_asked_about_what_the_user_said(labels: PhraseLabels) -> None:
    rng = np.random.default_rng(0)
    assert labels.phrases == tuple(sorted({*ANN.likes, *ANN.dislikes, *BOB.likes}))
    for _ in range(5):
        of_ann = told(labels, *labels.of_user(0, rng, flipped=False))
        assert {phrase for phrase, liked in of_ann.items() if liked} == {*ANN.likes}
        assert len(of_ann) == 6, "no more than half of all phrases from one side"
        assert {phrase for phrase, liked in of_ann.items() if not liked} < {*ANN.dislikes}
        opposite = told(labels, *labels.of_user(0, rng, flipped=True))
        assert {phrase for phrase, liked in opposite.items() if not liked} == {*ANN.likes}
        assert told(labels, *labels.of_user(1, rng, flipped=False)) == {"snow": 1}


def test_sorted_pictures_are_asked_about_what_one_side_shows_more_often(labels: PhraseLabels) -> None:
    """Only where it does so by two pictures; which side is liked does not matter."""
    rng, shown = np.random.default_rng(0), np.array([0, 6, 1, 7])
    assert told(labels, *labels.of_pictures(shown, np.array([1, 0, 1, 0]), rng)) == {"red": 1}
    assert told(labels, *labels.of_pictures(shown, np.array([0, 1, 0, 1]), rng)) == {"red": 0}
    assert told(labels, *labels.of_pictures(shown, np.array([1, 0, 0, 1]), rng)) == {}
    assert told(labels, *labels.of_pictures(np.array([0, 1, 6]), np.array([1, 1, 0]), rng)) == {"red": 1}


def test_users_without_words_are_asked_about_nothing() -> None:
    assert not PhraseLabels([TrainUser(History("cem", LIKED, DISLIKED))], ROWS)
