"""Nuisances: changes of a picture that leave the strength of personalisation as it is, seven at three levels each."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter


@dataclass(frozen=True)
class Nuisance:
    """A ladder: its levels from weak to strong, in `unit`. `apply` is None where whole pictures are drawn otherwise.

    `apply` takes a picture, a level and the sample's seed.
    """

    name: str
    unit: str
    levels: tuple[float, float, float]
    apply: Callable[[Image.Image, float, int], Image.Image] | None = None


def blur(image: Image.Image, sigma: float, seed: int) -> Image.Image:  # noqa: ARG001
    """Gaussian blur of `sigma` pixels."""
    return image.filter(ImageFilter.GaussianBlur(sigma))


def jpeg(image: Image.Image, quality: float, seed: int) -> Image.Image:  # noqa: ARG001
    """Through JPEG and back."""
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=int(quality))
    return Image.open(stream).convert("RGB")


def noise(image: Image.Image, sigma: float, seed: int) -> Image.Image:
    """Independent Gaussian noise of `sigma` grey levels: of one seed, the same noise at every level but its size."""
    unit_noise = np.random.default_rng([seed, 1]).standard_normal((image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + sigma * unit_noise).round().clip(0, 255).astype(np.uint8))


def hue(image: Image.Image, degrees: float, seed: int) -> Image.Image:  # noqa: ARG001
    """All hues turned by `degrees`, to palettes that the world does not have; grey stays grey."""
    pixels = np.array(image.convert("HSV"))
    pixels[..., 0] = (pixels[..., 0].astype(np.int64) + round(degrees / 360 * 256)) % 256
    return Image.fromarray(pixels, mode="HSV").convert("RGB")


PALETTE, PROMPT, COPIES = "palette", "prompt dropped", "copies"
NUISANCES: Mapping[str, Nuisance] = {
    nuisance.name: nuisance
    for nuisance in (
        Nuisance("blur", "pixels", (0.5, 1.0, 2.0), blur),
        Nuisance("jpeg", "quality", (75, 30, 10), jpeg),
        Nuisance("noise", "grey levels", (8, 24, 64), noise),
        Nuisance("hue", "degrees", (30, 90, 180), hue),
        Nuisance(PALETTE, "share", (0.25, 0.5, 1.0)),
        Nuisance(PROMPT, "share", (0.25, 0.5, 1.0)),
        Nuisance(COPIES, "share", (0.25, 0.5, 1.0)),
    )
}
