"""Controls that wrap any method by changing the history it is given: `--control other-user`, `--control flipped`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from prefbench.api import History, Judgment, PrefbenchError


def other_user(histories: Mapping[str, History]) -> dict[str, History]:
    """Gives each user the history of the next one, under their own id. Raises `PrefbenchError` for fewer than two."""
    users = list(histories)
    if len(users) < 2:
        raise PrefbenchError("other-user needs at least two users")
    shifted = users[1:] + users[:1]
    return {user: replace(histories[other], user=user) for user, other in zip(users, shifted, strict=True)}


def flipped(histories: Mapping[str, History]) -> dict[str, History]:
    """Exchanges every user's likes and dislikes."""
    return {
        user: History(user, tuple(map(_flip, history.disliked)), tuple(map(_flip, history.liked)))
        for user, history in histories.items()
    }


def _flip(judgment: Judgment) -> Judgment:
    return replace(judgment, liked=not judgment.liked)
