"""`personal-gain`: preference under a drawing's own user minus that under other users, wherever there are judgments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from prefbench.api import CrossFittedScorer, Features
from prefbench.registry import make

from .preference import OTHERS, Preference, preference_card

_BY = "logistic regression on judgments that no method sees"


class PersonalGain(Preference):
    """`preference` by the scorer `fitted`, which needs no trained model of preference: on every suite with judgments.

    The chance that the user prefers the drawing to the average judged picture, minus the mean of that chance under
    other users. Each of these is asked with the same knowledge of all people but the drawing's own user, so that only
    the histories differ. -1 to 1, higher is better; 0 is an image that suits its user no better than others. Columns:
    `personal-gain`, `personal-gain/own`, `personal-gain/others`. None where the user, or every other user, has no
    judgments that no method sees.
    """

    card = replace(
        preference_card("personal-gain", _BY),
        version="1",
        summary=f"P(liked) under the own user minus under other users, by {_BY}",
        recipe=f"own-minus-{OTHERS}-next-users,scorer-part,original-prompt",
        scale="0 is chance: the own user is as likely to like it as any other",
        won_by=("copy",),
        won_how="a liked picture is liked again, and the scorer does not ask whether it shows the prompt",
    )

    @cached_property
    def scorer(self) -> CrossFittedScorer:
        """The scorer `fitted`, through the best encoder that is here."""
        scorer: CrossFittedScorer = make("scorer", "fitted")
        return scorer

    def _parts(self, own: Features, others: Features) -> Mapping[str, Features]:
        return {"": own - others, "/own": own, "/others": others}
