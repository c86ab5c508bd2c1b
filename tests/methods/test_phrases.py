"""Phrases of one user, by a model's verdicts, and which of them a prompt leaves open."""

from __future__ import annotations

from prefbench.api import History, TrainUser
from prefbench.methods.shared.phrases import beside, exclusive_groups, surest

GROUPS = (("red", "blue"), ("big", "small"), ("old",))


def test_phrases_that_no_picture_shows_together_are_one_group() -> None:
    shows = {"1": ("red", "big"), "2": ("blue", "big"), "3": ("red", "small"), "4": ("old", "small", "blue")}
    users = [TrainUser(History("ann", (), ()), shows=dict([one])) for one in shows.items()]
    named = ["small", "red", "big", "blue", "unseen"]
    assert exclusive_groups(named, users) == (("big", "small"), ("blue", "red"), ("unseen",))


def test_of_a_group_one_phrase_is_surest() -> None:
    verdicts = {"red": 0.7, "blue": 0.6, "big": -0.9, "small": 0.9, "old": 0.2}
    assert surest(verdicts, GROUPS, 0.5) == "small, red"
    assert surest(verdicts, GROUPS, 0.1) == "small, red, old"
    assert surest(verdicts, GROUPS, 0.5, liked=False) == "big"
    assert surest(verdicts, GROUPS, 1.0) == ""


def test_what_a_prompt_names_or_excludes_is_not_added() -> None:
    assert beside("a fox", "small, red, old", GROUPS) == "small, red, old"
    assert beside("a fox, blue", "small, red, old", GROUPS) == "small, old"
    assert beside("a bigger fox in old age", "small, old", GROUPS) == "small", "words are whole"
    assert beside("a blue fox", "red, at night", ()) == "red, at night", "of a model that judges no phrases"
    assert beside("a fox", "", GROUPS) == ""
