"""`crowd-style`: the style that other people like best, drawn for everybody: whoever knows a person must beat it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from prefbench.api import Context, Features, History, MethodCard, PrefbenchError, TrainUser

from .redrawing import StyleMethod, judgments_of
from .taste import differences, fit_taste, scale_of


class CrowdStyle(StyleMethod):
    """Ranks the styles of all pictures that others judged by one model of all their judgments.

    The others are the suite's train users, or where it has none the users of the split that is drawn, each without
    whom the picture is for. What a user judged changes none of their pictures.

    Args:
        precision: as of `fitted-style`.
        people: how many are learned from at most: of more, every second, third and so on.
    """

    card = MethodCard(
        name="crowd-style",
        version="1",
        summary="the content in the style that a model of other people's judgments ranks first, for everybody",
        uses_liked=False,
        uses_disliked=False,
        backbone_kind="style-transfer",
        asks_people=True,
    )

    def __init__(self, *, precision: float = 3.0, people: int = 100) -> None:
        if not 0 < precision < float("inf"):
            raise PrefbenchError(f"precision must be above 0 and finite, got {precision}")
        if people < 2:
            raise PrefbenchError(f"people must be at least 2, got {people}")
        self.precision, self.people = precision, people

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` where there are no two people to learn from."""
        super().setup(context)
        everybody = list(context.people()) if context.people is not None else []
        if len(everybody) < 2:
            raise PrefbenchError(f"{self.card.name} needs at least two people: one person is no crowd")
        self.learned_from: Sequence[TrainUser] = everybody[:: -(-len(everybody) // self.people)]
        self._best: dict[str, Features] = {}

    @property
    def weights_digest(self) -> str:
        """SHA-256 over all that is learned from: other people are another crowd."""
        return hashlib.sha256(repr([person.history.digest for person in self.learned_from]).encode()).hexdigest()

    def style(self, history: History) -> Features | None:
        """Raises `PrefbenchError` where nobody else prefers anything."""
        left_out = history.user if history.user in self._preferred else ""
        if left_out not in self._best:
            self._best[left_out] = self._without(left_out)
        return self._best[left_out]

    def _without(self, user: str) -> Features:
        """The style that everybody but one likes best."""
        rows = [own for name, own in self._preferred.items() if name != user and own.any()]
        if not rows:
            raise PrefbenchError(f"{self.card.name}: nobody but {user or 'the user'} prefers anything")
        candidates = self._candidates(user)
        taste = fit_taste(np.concatenate(rows), precision=self.precision * scale_of(candidates))
        best: Features = candidates[(candidates @ taste).argmax()]
        return best

    @cached_property
    def _preferred(self) -> dict[str, Features]:
        """What each of the people prefers to what, as differences of styles."""
        judged = {person.history.user: judgments_of(person.history) for person in self.learned_from}
        return {user: differences(own, self.styles_of(own)) for user, own in judged.items() if own}

    def _candidates(self, user: str) -> Features:
        """The styles (N, D) of the different pictures that everybody but one judged."""
        judged = [j for one in self.learned_from if one.history.user != user for j in judgments_of(one.history)]
        return self.styles_of({judgment.picture.digest: judgment for judgment in judged}.values())
