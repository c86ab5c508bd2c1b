"""A made-up run for metrics that ask what users judged: smooth pictures, and thumbnails in place of an embedding."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import Evidence, Features, History, Judgment, Picture, Pixels, Scored, Viewer, to_pixels


def smooth(seed: int, side: int = 64) -> Pixels:
    """Random blobs of colour (side, side, 3)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def thumbnails(pictures: Sequence[Pixels]) -> Features:
    """Centred 8 x 8 thumbnails (N, 192)."""
    small = [np.asarray(Image.fromarray(p).resize((8, 8), Image.Resampling.BOX), dtype=np.float64) for p in pictures]
    return np.stack([s.ravel() - s.mean() for s in small])


def judgments(seeds: Sequence[int], *, liked: bool) -> tuple[Judgment, ...]:
    return tuple(Judgment(Picture.of(Image.fromarray(smooth(seed))), "a prompt", liked) for seed in seeds)


def history(user: str, likes: Sequence[int], dislikes: Sequence[int] = ()) -> History:
    """Of smooth pictures by their seeds."""
    return History(user, judgments(likes, liked=True), judgments(dislikes, liked=False))


def evidence(
    histories: Mapping[Viewer, Mapping[str, History]], features: Callable[[Sequence[Pixels]], Features] = thumbnails
) -> Evidence:
    def judged(pictures: Sequence[Picture]) -> Features:
        return features([to_pixels(picture.load()) for picture in pictures])

    return Evidence(None, {}, histories, judged)


def drawn(user: str, pictures: Sequence[Pixels], prompt: str = "a prompt") -> list[Scored]:
    return [Scored(f"{user}/{prompt}/{i}", user, prompt, pixels) for i, pixels in enumerate(pictures)]


def as_jpeg(pixels: Pixels, quality: int = 50) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality)
    return to_pixels(Image.open(stream))


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((width, height)))


def cropped(pixels: Pixels, share: float) -> Pixels:
    """Without a margin of `share` on every side."""
    cut = round(share * len(pixels))
    return pixels[cut:-cut, cut:-cut]


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Written out, so that metrics are not compared with their own helper."""
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    norms = [sum(float(x) ** 2 for x in v) ** 0.5 for v in (a, b)]
    return dot / (norms[0] * norms[1])
