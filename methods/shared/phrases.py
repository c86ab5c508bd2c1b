"""Phrases that people like: most people, where a suite has words for tastes, and one user, by a model's verdicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

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


def exclusive_groups(phrases: Iterable[str], train_users: Sequence[TrainUser]) -> tuple[tuple[str, ...], ...]:
    """The phrases, those together that exclude each other: each group is of values of one attribute."""
    together = _seen_together(train_users)
    groups: list[list[str]] = []
    for phrase in sorted({*phrases}):
        own = (group for group in groups if all(_exclude(phrase, other, together) for other in group))
        group = next(own, None)
        if group is None:
            groups.append([phrase])
        else:
            group.append(phrase)
    return tuple(map(tuple, groups))


def surest(verdicts: Mapping[str, float], groups: Sequence[Sequence[str]], least: float, *, liked: bool = True) -> str:
    """The phrase of each group that is liked most, or disliked, by a verdict of at least `least`, the surest first.

    They are joined by commas, ready for a prompt.

    Args:
        verdicts: phrases to P(liked) - P(disliked), in [-1, 1].
    """
    sign = 1 if liked else -1
    best = [max(group, key=lambda phrase: sign * verdicts[phrase]) for group in groups]
    sure = [phrase for phrase in best if sign * verdicts[phrase] >= least]
    return ", ".join(sorted(sure, key=lambda phrase: -sign * verdicts[phrase]))


def beside(prompt: str, words: str, groups: Sequence[Sequence[str]]) -> str:
    """Those of phrases, joined by commas, that the prompt neither names nor excludes; all words without any groups."""
    if not groups:
        return words
    named = [group for group in groups if any(re.search(rf"\b{re.escape(phrase)}\b", prompt) for phrase in group)]
    return ", ".join(phrase for phrase in words.split(", ") if not any(phrase in group for group in named))


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
