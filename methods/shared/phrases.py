"""Phrases that people like: most people, where a suite has words for tastes, and one user, by a model's verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from prefbench.api import TrainUser

WORDS = 3
"""Phrases of each side in a prompt, at most: users of picturebook name about as many likes."""


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


def surest(verdicts: Mapping[str, float], least: float, *, liked: bool = True) -> list[str]:
    """At most `WORDS` phrases that are liked, or disliked, by a verdict of at least `least`, the surest first.

    Args:
        verdicts: phrases to P(liked) - P(disliked), in [-1, 1].
    """
    by_sureness = sorted(((v if liked else -v, phrase) for phrase, v in verdicts.items()), reverse=True)
    return [phrase for verdict, phrase in by_sureness[:WORDS] if verdict >= least]


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
