"""`popular-style`: the style that most train users like, in words, the same for everybody."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set

from prefbench.api import Context, Drawing, Method, MethodCard, PrefbenchError, Request, TrainUser

from ..shared.worded import draw_with_words


class PopularStyle(Method):
    """The average user's style words appended to every prompt: wins scorers that know the average and no single user.

    Args:
        words: phrases that are appended at most.
    """

    card = MethodCard(
        name="popular-style",
        version="1",
        summary="the style words that most train users like, for every user",
        uses_liked=False,
        uses_disliked=False,
        training="once",
        trained_on=("picturebook:train",),
        control=True,
        attack="the crowd's taste for every user",
    )

    def __init__(self, *, words: int = 3) -> None:
        if words < 1:
            raise PrefbenchError(f"words must be at least 1, got {words}")
        self.words = words

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite that has no words for what its train users like."""
        super().setup(context)
        train_users = context.train_users() if context.train_users is not None else ()
        self.phrases = popular_phrases(train_users, self.words)
        if not self.phrases:
            raise PrefbenchError(f"{self.card.name} needs a suite with words for tastes, such as picturebook")

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the phrases, which depend on the train users."""
        return hashlib.sha256(", ".join(self.phrases).encode()).hexdigest()

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return draw_with_words(self.context.backbone, requests, [", ".join(self.phrases)] * len(requests))


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
