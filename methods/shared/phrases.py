"""The phrases that most people like, where a suite has words for tastes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from prefbench.api import TrainUser


def popular_phrases(train_users: Sequence[TrainUser], most: int) -> list[str]:
    """The phrases that more users like than dislike, most liked first, without two that exclude each other."""
    liking = Counter(phrase for train_user in train_users for phrase in set(train_user.likes))
    liking.subtract(phrase for train_user in train_users for phrase in set(train_user.dislikes))
    together = _seen_together(train_users)
    phrases: list[str] = []
    for phrase, margin in sorted(liking.items(), key=lambda item: (-item[1], item[0])):
        if margin > 0 and len(phrases) < most and not any(_exclude(phrase, other, together) for other in phrases):
            phrases.append(phrase)
    return phrases


def _seen_together(train_users: Sequence[TrainUser]) -> Mapping[str, Set[str]]:
    """Each phrase that some judged picture shows, to all that some picture shows with it."""
    together: dict[str, set[str]] = {}
    for combination in {tuple(phrases) for train_user in train_users for phrases in train_user.shows.values()}:
        for phrase in combination:
            together.setdefault(phrase, set()).update(combination)
    return together


def _exclude(first: str, second: str, together: Mapping[str, Set[str]]) -> bool:
    """Whether they are values of one attribute: pictures show either, never both."""
    return first in together and second in together and second not in together[first]
