"""The samples of a run as columns, a block of them in a file; the texts that only one sample's view shows are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prefbench.api import Column, FloatArray, Sample, ScoredRun

from .data import shown

BLOCK = 5_000
"""Samples in a file."""


def numbers(
    samples: Sequence[Sample], users: Mapping[str, int], prompts: Mapping[str, int], places: Sequence[int]
) -> dict[str, Any]:
    """Columns of the same length as the samples: indices of user and prompt, sample index, place, whether drawn."""
    return {
        "user": [users[sample.user] for sample in samples],
        "prompt": [prompts[sample.prompt] for sample in samples],
        "index": [sample.index for sample in samples],
        "place": list(places),
        "ok": [int(sample.image is not None) for sample in samples],
    }


def scores_of(run: ScoredRun) -> dict[str, FloatArray]:
    """The values of every column with one value per sample or per user, in the order of the run's samples."""
    return {name: _by_sample(column, run.samples) for name, column in run.columns().items()} if run.headers else {}


def _by_sample(column: Column, samples: Sequence[Sample]) -> FloatArray:
    if column.unit != "user":
        return column.scores.values
    of_user = dict(zip(column.scores.users.tolist(), column.scores.values.tolist(), strict=True))
    return np.array([of_user.get(sample.user, np.nan) for sample in samples])


def as_stored(values: FloatArray) -> list[float | None]:
    """Values as JSON has them, to the last digit; None for NaN."""
    return [None if value != value else value for value in values.tolist()]


def about(samples: Sequence[Sample], near: Sequence[int]) -> dict[str, Any]:
    """Texts, keys and cost of samples, and the place of the nearest like of each."""
    return {
        "key": [sample.key for sample in samples],
        "seed": [str(sample.seed) for sample in samples],
        "image": [sample.image for sample in samples],
        "used": [None if sample.prompt_used == sample.prompt else shown(sample.prompt_used) for sample in samples],
        "error": [shown(sample.error) for sample in samples],
        "seconds": [sample.seconds for sample in samples],
        "nfe": [sample.nfe for sample in samples],
        "near": list(near),
    }
