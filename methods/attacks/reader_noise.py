"""`reader-noise`: noise that the instrument of the known truth takes for the user's favourite style."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from prefbench.api import Context, FloatArray, MethodCard, PrefbenchError, Request, Truth
from prefbench.api.gradients import SlopedTruth, Slopes

from .noise import NoiseAttack


class ReaderNoise(NoiseAttack):
    """Climbs the user's true utility as the suite measures it. It is given the truth, gradients included.

    Args:
        levels: the most that a number is changed by, of 255.
        steps: of gradient ascent.
        through: what the ascent averages over: nothing (`plain`), moves of one pixel (`shifts`), `shifts and jpeg`, or
            all that an audit looks through (`audit`).
    """

    card = MethodCard(
        name="reader-noise",
        version="1",
        summary="the prompt alone, with noise that raises the measured utility; it knows the truth and the instrument",
        uses_liked=False,
        uses_disliked=False,
        control=True,
        attack="noise that the reader takes for the user's style",
        weights=("reader",),
    )

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite whose truth gives no gradients."""
        super().setup(context)
        self._truth = sloped_truth(context, self.card.name)

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the truth's id, which names the reader: another one gives other noise."""
        return hashlib.sha256(cast("Truth", self._truth).id.encode()).hexdigest()

    def slopes(self, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
        return utility_slopes(self._truth, requests, pictures)


def sloped_truth(context: Context, name: str) -> SlopedTruth:
    # By its attribute: a truth that is asked in a run's own names is of no class of the suite's.
    if not hasattr(context.truth, "utility_slopes"):
        raise PrefbenchError(f"{name} needs a suite whose truth is known and gives gradients, such as picturebook")
    return cast("SlopedTruth", context.truth)


def utility_slopes(truth: SlopedTruth, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
    return truth.utility_slopes(requests[0].profile.user, [request.prompt for request in requests], pictures)
