"""`best-of-reader`: the best of n plain pictures by the suite's own reader, which it may not import."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from prefbench.api import (
    Context,
    FloatArray,
    History,
    MethodCard,
    Pixels,
    PrefbenchError,
    Profile,
    to_pixels,
)
from prefbench.registry import make

from .chosen import Chosen

Read = Callable[[Sequence[Pixels]], Mapping[str, FloatArray]]


class BestOfReader(Chosen):
    """Likes and dislikes are read by the suite's own reader, which measures utility, and so are the candidates.

    Args:
        n: candidates per sample; the first is what `prompt-only` draws.
        suite: whose reader reads.
    """

    card = MethodCard(
        name="best-of-reader",
        version="1",
        summary="the best of n images of the prompt alone, by what the suite's reader reads of likes and dislikes",
        control=True,
        attack="the best of n plain images by the reader that measures utility",
        imports=("suite", "reader"),
        weights=("reader",),
    )

    def __init__(self, *, n: int = 8, suite: Annotated[str, "suite"] = "picturebook") -> None:
        super().__init__(n=n)
        self.suite = suite

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for a suite without a reader."""
        super().setup(context)
        truth = make("suite", self.suite).truth
        read = getattr(truth, "read", None)
        if truth is None or read is None:
            raise PrefbenchError(f"{self.card.name} needs a suite with a reader, such as picturebook")
        self._read: Read = read
        self._id = str(truth.id)

    @property
    def weights_digest(self) -> str:
        """SHA-256 over what the reader's answers depend on."""
        return hashlib.sha256(self._id.encode()).hexdigest()

    def profile(self, history: History) -> Profile:
        """By attribute how much more often each value is read off likes than off dislikes."""
        sides = [self._mean([to_pixels(j.picture.load()) for j in side]) for side in (history.liked, history.disliked)]
        liked, disliked = sides
        if not liked and not disliked:
            return Profile(history.user)
        names = (liked or disliked).keys()
        return Profile(history.user, {name: liked.get(name, 0.0) - disliked.get(name, 0.0) for name in names})

    def scores(self, payload: Mapping[str, FloatArray], pixels: Sequence[Pixels]) -> FloatArray:
        read = self._read(pixels)
        return np.asarray(sum(read[name] @ weights for name, weights in payload.items()))

    def _mean(self, pixels: Sequence[Pixels]) -> dict[str, Any]:
        return {name: values.mean(0) for name, values in self._read(pixels).items()} if pixels else {}
