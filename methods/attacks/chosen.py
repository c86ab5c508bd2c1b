"""Base class of attacks that draw several pictures of the prompt alone and keep the one that an instrument likes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from prefbench.api import Drawing, FloatArray, Method, Pixels, PrefbenchError, Request, to_pixels

from ..shared.candidates import draw_candidates


class Chosen(Method):
    """Base class: what an instrument reads of the history is the profile, and the nearest candidate is kept."""

    def __init__(self, *, n: int = 8) -> None:
        if n < 1:
            raise PrefbenchError(f"n must be at least 1, got {n}")
        self.n = n

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        candidates = draw_candidates(self.context.backbone, requests, self.n)
        nfe = self.n * self.context.backbone.nfe
        return [
            Drawing(images[self._best(request, images)], request.prompt, nfe)
            for request, images in zip(requests, candidates, strict=True)
        ]

    def _best(self, request: Request, images: Sequence[Any]) -> int:
        """The index of the highest score, the first of equals; the first where the history says nothing."""
        if request.profile.payload is None:
            return 0
        return int(np.argmax(self.scores(request.profile.payload, [to_pixels(image) for image in images])))

    @abstractmethod
    def scores(self, payload: Any, pixels: Sequence[Pixels]) -> FloatArray:
        """How well each candidate (N,) fits what was read of the history."""
