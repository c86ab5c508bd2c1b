"""A per-image metric on the pool that stands for the population: one mean per user and prompt, to resample from."""

from __future__ import annotations

import numpy as np

from prefbench.api import Bounds, FloatArray, Scores

from .measured import MeasuredSystems


def case_means(measured: MeasuredSystems, name: str) -> FloatArray:
    """A metric's means (users, prompts) over the samples of a case, on the population's pool."""
    scores = measured.scores(measured.systems.population, name)
    samples = scores.values.reshape(len(np.unique(scores.users)), -1, measured.systems.population.samples)
    return np.asarray(samples.mean(axis=2))


def as_scores(means: FloatArray, bounds: Bounds = (None, None)) -> Scores:
    """Means (users, prompts) as scores: every row a user, every column a prompt, also where one was sampled twice."""
    users, prompts = (np.arange(n).astype(str) for n in means.shape)
    repeated = np.repeat(users, means.shape[1]), np.tile(prompts, means.shape[0])
    return Scores(means.ravel(), *repeated, bounds=bounds)
