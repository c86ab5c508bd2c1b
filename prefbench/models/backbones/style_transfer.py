"""`StyleTransferBackbone`: redraws a picture in a style of 100 numbers (Ghiasi et al. 2017, arXiv 1705.06830)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import Features, PrefbenchError, StyleCard, as_seen
from prefbench.models import hub, packaged
from prefbench.models.backbones.cards import style_weights

WIDTH = 100
"""Numbers of a style."""
_STYLE_SIDE = 256
"""Pixels of a side of what the style predictor reads."""

REMEMBERED = 64
"""Drawings that are kept: users who share contents and a style follow one another."""
Values = NDArray[np.float32]


def load_style_transfer(card: StyleCard) -> StyleTransferBackbone:
    """Loads the two networks. Raises `PrefbenchError` where they are absent or damaged."""
    return StyleTransferBackbone(card, packaged.require(f"backbone {card.name!r}", style_weights(card)))


class StyleTransferBackbone:
    """Two networks: a picture to its style, and a content with a style to a picture. See `StyleBackbone`.

    Args:
        card: its resolution is the side of what the second network reads and draws.
        files: the ONNX files of the two.
    """

    texts = None
    """It reads no text."""
    nfe = 1

    def __init__(self, card: StyleCard, files: Sequence[Path]) -> None:
        self.card, self.device, self.dtype = card, torch.device("cpu"), torch.float32
        self.on_evaluations: Callable[[float], object] = lambda _: None
        self._files = files
        self._redrawn = lru_cache(maxsize=REMEMBERED)(self._redraw)
        self._predictor, self._painter = (packaged.session(f"backbone {card.name!r}: {path}", path) for path in files)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the two files."""
        return hub.digest({self._files[0].parent: self._files})

    def styles(self, pictures: Sequence[Image.Image]) -> Features:
        """The style of the largest square in the middle of each picture: (N, 100)."""
        vectors = [self._run(self._predictor, _square(as_seen(picture))) for picture in pictures]
        return np.array(vectors, dtype=np.float64).reshape(len(pictures), WIDTH)

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        contents: Sequence[Image.Image],
        styles: Features | None = None,
    ) -> list[Image.Image]:
        """Redraws each content in its style (N, 100), by default its own.

        Raises:
            PrefbenchError: lengths that differ, styles of another width or that are not finite.
        """
        chosen = self.styles(contents) if styles is None else np.asarray(styles, dtype=np.float64)
        for what, values in (("seeds", seeds), ("contents", contents)):
            if len(values) != len(prompts):
                raise PrefbenchError(f"{len(prompts)} prompts but {len(values)} {what}")
        if chosen.shape != (len(prompts), WIDTH) or not np.isfinite(chosen).all():
            raise PrefbenchError(f"styles are {len(prompts)} x {WIDTH} finite numbers, got {chosen.shape}")
        return [self._drawn(as_seen(content), style) for content, style in zip(contents, chosen, strict=True)]

    def _drawn(self, content: Image.Image, style: Features) -> Image.Image:
        image = self._redrawn(content.tobytes(), content.size, style.astype(np.float32).tobytes())
        self.on_evaluations(1)
        return image.copy()

    def _redraw(self, content: bytes, size: tuple[int, int], style: bytes) -> Image.Image:
        """The drawing of RGB pixels in a style, both as bytes."""
        side, (width, height), picture = self.card.resolution, size, Image.frombytes("RGB", size, content)
        scale = side / max(width, height)
        fitted = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = _pixels(picture.resize(fitted, Image.Resampling.LANCZOS))
        # The network draws squares alone: what is missing mirrors what is there, and is cut off again.
        padded = np.pad(pixels, ((0, side - fitted[1]), (0, side - fitted[0]), (0, 0)), mode="reflect")
        drawn = self._run(self._painter, padded, np.frombuffer(style, dtype=np.float32).reshape(1, 1, 1, WIDTH))
        image = Image.fromarray(np.rint(drawn[: fitted[1], : fitted[0]].clip(0, 1) * 255).astype(np.uint8))
        return image if scale <= 1 else image.resize(size, Image.Resampling.LANCZOS)

    def _run(self, network: Any, pixels: Values, *others: Values) -> Values:
        """The output for one picture; the networks take no more at once."""
        names = [one.name for one in network.get_inputs()]
        output: Values = network.run(None, dict(zip(names, (pixels[None], *others), strict=True)))[0][0]
        return output


def _square(picture: Image.Image) -> Values:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return _pixels(picture.crop(box).resize((_STYLE_SIDE, _STYLE_SIDE), Image.Resampling.LANCZOS))


def _pixels(picture: Image.Image) -> Values:
    """Values (H, W, 3) in [0, 1], float32 as the networks take them."""
    values: Values = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return values
