"""What attackers with gradients share: they draw the prompt alone and add noise that plays an instrument."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from prefbench.api import Context, Drawing, FloatArray, History, Method, PrefbenchError, Profile, Request, to_pixels
from prefbench.api.gradients import Slopes

from ..shared.climbing import Through, climb

if TYPE_CHECKING:
    from prefbench.models.backbones.denoising import Denoiser


class NoiseAttack(Method):
    """Draws what `prompt-only` draws and changes every number of it by at most `levels` of 255.

    Noise that is averaged over views survives them, at four times the cost.

    Args:
        levels: the most that a number is changed by, of 255.
        steps: of gradient ascent.
        through: what the ascent averages over: nothing (`plain`), moves of one pixel (`shifts`), `shifts and jpeg`, or
            all that an audit looks through (`audit`).
    """

    def __init__(self, *, levels: int = 8, steps: int = 20, through: Through = "plain") -> None:
        if not 1 <= levels <= 255:
            raise PrefbenchError(f"levels must be 1 to 255, got {levels}")
        if steps < 1:
            raise PrefbenchError(f"steps must be at least 1, got {steps}")
        self.levels, self.steps, self.through = levels, steps, through
        self._denoiser: Denoiser | None = None

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for `audit` on a backbone whose denoiser cannot be asked."""
        super().setup(context)
        if self.through == "audit":
            from prefbench.models.backbones.denoising import Denoiser

            self._denoiser = Denoiser(context.backbone)

    def profile(self, history: History) -> Profile:
        return Profile(history.user, history)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        """Raises `PrefbenchError` for an instrument that gives no gradients of such pictures."""
        return [self._noisy(request) for request in requests]

    def _noisy(self, request: Request) -> Drawing:
        """One picture at a time: the sign of a gradient follows from rounding too, which differs between batches."""
        backbone = self.context.backbone
        (image,) = backbone.generate([request.prompt], [request.seed])
        (noisy,) = climb(
            [to_pixels(image)],
            lambda x: self.slopes([request], x),
            levels=self.levels,
            steps=self.steps,
            seeds=[request.seed],
            through=self.through,
            denoiser=self._denoiser,
        )
        return Drawing(Image.fromarray(noisy), request.prompt, backbone.nfe)

    @abstractmethod
    def slopes(self, requests: Sequence[Request], pictures: FloatArray) -> Slopes:
        """What is climbed, for requests of one user."""


def together(parts: Sequence[Slopes]) -> Slopes:
    """The sum of several, whose gradients count alike in every picture whatever their scales."""
    sizes = [np.abs(part.gradients).sum((1, 2, 3), keepdims=True) for part in parts]
    scaled = [part.gradients / np.maximum(size, 1e-300) for part, size in zip(parts, sizes, strict=True)]
    return Slopes(np.sum([part.values for part in parts], axis=0), np.sum(scaled, axis=0))
