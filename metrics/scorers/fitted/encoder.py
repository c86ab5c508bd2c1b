"""Which encoder the scorer looks at pictures through, and the features that it gave."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from prefbench.api import Extractor, ExtractorCard, Features, Picture, Pixels, to_pixels
from prefbench.files import cache_folder
from prefbench.models import hub
from prefbench.registry import load
from prefbench.score.cache import FeatureCache

PREFERRED = ("open-nsfw", "dinov2", "mini-dino")
"""Encoders that no method uses, the best first: of those whose weights are here the first is taken."""
_KEPT = 50_000
"""Most features of pictures that were asked about in memory."""


def encoder_here() -> str:
    """The first of the preferred encoders whose weights are on this disk; the last one where none is."""
    return next((name for name in PREFERRED[:-1] if _is_here(name)), PREFERRED[-1])


def _is_here(name: str) -> bool:
    sources = getattr(load("extractor", name), "weights", ())
    weights = [source() if callable(source) else source for source in sources]
    return all(isinstance(hub.locate(one), Path) for one in weights)


class Encoded:
    """Unit-length features of pictures by a registered extractor.

    Judged pictures are kept on disk by their digests, so that they are encoded once, whichever runs are scored.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._judged: dict[str, Features] = {}
        self._asked: dict[bytes, Features] = {}

    @cached_property
    def extractor(self) -> Extractor:
        """The extractor. Raises `PrefbenchError` where its weights are absent."""
        extractor: Extractor = load("extractor", self.name)()
        return extractor

    @property
    def card(self) -> ExtractorCard | None:
        """What the extractor says of itself."""
        return getattr(load("extractor", self.name), "card", None)

    def judged(self, pictures: Sequence[Picture]) -> Features:
        """Features (N, D) as float32. Raises what reading a picture raises."""
        missing = {p.digest: p for p in pictures if p.digest not in self._judged}
        if missing:
            cache = FeatureCache(cache_folder() / "judged", self.extractor)

            def pixels(digests: Sequence[str]) -> list[Pixels]:
                return [to_pixels(missing[digest].load()) for digest in digests]

            rows = _unit(cache.get(list(missing), pixels))
            self._judged.update(zip(missing, rows, strict=True))
        return np.stack([self._judged[p.digest] for p in pictures]) if pictures else np.empty((0, 0), dtype=np.float32)

    def asked(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D) as float32 of pictures in memory; each different one is encoded once."""
        keys = [hashlib.sha256(repr(p.shape).encode() + p.tobytes()).digest() for p in pictures]
        missing = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._asked}
        if missing:
            if len(self._asked) + len(missing) > _KEPT:
                self._asked = {key: self._asked[key] for key in keys if key in self._asked}
            rows = _unit(self.extractor.images(list(missing.values())))
            self._asked.update(zip(missing, rows, strict=True))
        return np.stack([self._asked[key] for key in keys])


def _unit(features: Features) -> Features:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(norms > 0, norms, 1), dtype=np.float32)
