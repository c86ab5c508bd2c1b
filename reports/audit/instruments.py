"""The instruments behind a run's metrics, as far as they say how their numbers change with the pixels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from prefbench.api import Extractor, FloatArray, Sample, Suite
from prefbench.api.gradients import SlopedExtractor, SlopedScorer, SlopedTruth, Slopes
from prefbench.registry import load, make

if TYPE_CHECKING:
    from torch import Tensor

Instrument = Callable[[Sequence[Sample], FloatArray], Slopes]
"""What it says of pictures (N, H, W, 3) that are drawn for samples, and how that changes with the pictures."""


def instruments(suite: Suite, metrics: Collection[str]) -> Mapping[str, Instrument]:
    """By metric: the truth behind `utility`, the scorer behind `preference`, the encoder behind `clip-score`.

    Those that give no gradients are left out.
    """
    offered = {name: make_one(suite) for name, make_one in _OFFERED.items() if name in metrics}
    return {name: instrument for name, instrument in offered.items() if instrument is not None}


def _utility(suite: Suite) -> Instrument | None:
    truth: object = suite.truth
    if not isinstance(truth, SlopedTruth):
        return None

    def slopes(samples: Sequence[Sample], pictures: FloatArray) -> Slopes:
        return _by_user(samples, pictures, truth.utility_slopes)

    return slopes


def _preference(suite: Suite) -> Instrument | None:
    scorer: object = make("scorer", "preference")
    if not isinstance(scorer, SlopedScorer):
        return None

    def slopes(samples: Sequence[Sample], pictures: FloatArray) -> Slopes:
        def asked(user: str, prompts: Sequence[str], some: FloatArray) -> Slopes:
            return scorer.score_slopes(suite.history(user, "scorer"), prompts, some)

        return _by_user(samples, pictures, asked)

    return slopes


def _clip_score(suite: Suite) -> Instrument | None:
    extractor: object = load("extractor", suite.card.extractors["text"])() if "text" in suite.card.extractors else None
    if not isinstance(extractor, SlopedExtractor):
        return None

    def slopes(samples: Sequence[Sample], pictures: FloatArray) -> Slopes:
        import torch
        import torch.nn.functional as F

        texts = torch.from_numpy(cast("Extractor", extractor).texts([sample.prompt for sample in samples]))

        def cosines(features: Tensor) -> Tensor:
            return F.cosine_similarity(features, texts.to(features), dim=1)

        return extractor.image_slopes(pictures, cosines)

    return slopes


_OFFERED: Mapping[str, Callable[[Suite], Instrument | None]] = {
    "utility": _utility,
    "preference": _preference,
    "clip-score": _clip_score,
}


def _by_user(
    samples: Sequence[Sample], pictures: FloatArray, ask: Callable[[str, Sequence[str], FloatArray], Slopes]
) -> Slopes:
    """One question for each user."""
    values, gradients = np.empty(len(samples)), np.empty(pictures.shape)
    for user in dict.fromkeys(sample.user for sample in samples):
        rows = [i for i, sample in enumerate(samples) if sample.user == user]
        values[rows], gradients[rows] = ask(user, [samples[i].prompt for i in rows], pictures[rows])
    return Slopes(values, gradients)
