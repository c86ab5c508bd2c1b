"""Histories with one input taken from another user's: whether a method uses an input shows when it is exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import cycle

from prefbench.api import History, Judgment


def _other_prompts(mine: History, other: History) -> History:
    prompts = cycle([judgment.prompt for judgment in reversed((*other.liked, *other.disliked))])
    return _each(mine, lambda judgment: replace(judgment, prompt=next(prompts)))


def _other_comments(mine: History, other: History) -> History:
    return _each(mine, lambda judgment: replace(judgment, comment=f"{other.user} would call this too dark"))


def _each(history: History, change: Callable[[Judgment], Judgment]) -> History:
    return History(history.user, tuple(map(change, history.liked)), tuple(map(change, history.disliked)))


CHANGES: Mapping[str, Callable[[History, History], History]] = {
    "liked": lambda mine, other: replace(mine, liked=other.liked),
    "disliked": lambda mine, other: replace(mine, disliked=other.disliked),
    "prompts": _other_prompts,
    "comments": _other_comments,
}
"""Name of an input, as `uses_...` on a method's card has it, to the function that exchanges it."""
