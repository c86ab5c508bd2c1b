"""Phrases that rows of pictures are asked about, and their labels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import History, Judgment, TrainUser
from prefbench.methods.ours.train.phrase_labels import ASKED, DISLIKED, LIKED, NEITHER, PhraseLabels
from tests.support.tiny_suite import picture

LIKES = tuple(Judgment(picture("red", i), "a fox", True) for i in range(6))
HATES = tuple(Judgment(picture("blue", i), "a fox", False) for i in range(6))
ROWS = {one.picture.digest: i for i, one in enumerate((*LIKES, *HATES))}
SHOWS = {one.picture.digest: ("snow", "red") for one in LIKES} | {one.picture.digest: ("snow",) for one in HATES}
ANN = TrainUser(History("ann", LIKES, HATES), ("red", "big"), ("blue", "snow", "old", "wet", "dry"), SHOWS)
BOB = TrainUser(History("bob", LIKES, HATES), ("snow",), ())
CEM = TrainUser(History("cem", LIKES, HATES))


@pytest.fixture
def labels() -> PhraseLabels:
    return PhraseLabels([ANN, BOB, CEM], ROWS)


def told(of: PhraseLabels, asked: NDArray[np.int64], labels: NDArray[np.float32]) -> dict[str, float]:
    assert asked.shape == labels.shape == (ASKED,)
    known = ~np.isnan(labels)
    assert len({*asked[known]}) == known.sum(), "each phrase once"
    return {of.phrases[i]: float(label) for i, label in zip(asked[known], labels[known], strict=True)}


def test_a_user_is_asked_about_what_the_user_said_and_did_not_say(labels: PhraseLabels) -> None:
    rng = np.random.default_rng(0)
    assert labels.phrases == ("big", "blue", "dry", "old", "red", "snow", "wet")
    for _ in range(5):
        of_ann = told(labels, *labels.of_user(0, rng, flipped=False))
        assert {phrase for phrase, liked in of_ann.items() if liked == LIKED} == {*ANN.likes}
        assert len({phrase for phrase, liked in of_ann.items() if liked == DISLIKED} & {*ANN.dislikes}) == 4
        assert len(of_ann) == 6, "all are named, and no more than four of a side"
        opposite = told(labels, *labels.of_user(0, rng, flipped=True))
        assert {phrase for phrase, liked in opposite.items() if liked == DISLIKED} == {*ANN.likes}
        of_bob = told(labels, *labels.of_user(1, rng, flipped=False))
        assert of_bob.pop("snow") == LIKED
        assert {*of_bob.values()} == {NEITHER}
        assert len(of_bob) == len(labels.phrases) - 1
        assert told(labels, *labels.of_user(2, rng, flipped=False)) == {}, "who named nothing is asked about nothing"


def test_sorted_pictures_are_asked_about_what_one_side_shows_more_often(labels: PhraseLabels) -> None:
    """Only where it does so by two pictures; which side is liked does not matter."""
    rng, shown = np.random.default_rng(0), np.array([0, 6, 1, 7])
    for liked, red in (([1, 0, 1, 0], LIKED), ([0, 1, 0, 1], DISLIKED), ([1, 0, 0, 1], NEITHER)):
        found = told(labels, *labels.of_pictures(shown, np.array(liked), rng))
        assert found.pop("red") == red
        assert {*found.values()} == {NEITHER}, "snow is in all of them"
    few = told(labels, *labels.of_pictures(np.array([0, 1, 6]), np.array([1, 1, 0]), rng))
    assert (few["red"], few["snow"]) == (LIKED, NEITHER)


def test_users_without_words_are_asked_about_nothing() -> None:
    assert not PhraseLabels([CEM], ROWS)
