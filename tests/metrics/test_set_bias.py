"""The mean of `kid` and `mmd` over many draws of users and prompts, beside the value of their populations."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.api import FeatureSet, FloatArray, SetMetric
from prefbench.metrics.kid import KernelInceptionDistance
from prefbench.metrics.mmd import GaussianDistance
from prefbench.stats.mmd import Kernel, cubic_kernel, unbiased_mmd

WIDTH, USERS, SIMULATIONS = 8, 20, 200
BY_USER, BY_PROMPT, NOISE = 0.4, 0.6, 0.7
"""Standard deviations of every feature between users, between prompts, and of single images."""
SHIFT = 0.3054
"""How far the mean of the drawn images' population lies from the references', in every feature: a kid of 358."""


def images(rng: np.random.Generator, n_prompts: int, shift: float, name: str) -> FeatureSet:
    """Every user of a new sample with every prompt of a new sample."""
    user, prompt = np.repeat(np.arange(USERS), n_prompts), np.tile(np.arange(n_prompts), USERS)
    effects = [sd * rng.standard_normal((n, WIDTH)) for sd, n in ((BY_USER, USERS), (BY_PROMPT, n_prompts))]
    features = shift + effects[0][user] + effects[1][prompt] + NOISE * rng.standard_normal((len(user), WIDTH))
    names = (np.array([f"{name}{kind}{i}" for i in indices]) for kind, indices in (("u", user), ("p", prompt)))
    return FeatureSet(features, *names)


def expected_cubic(mean: float, other: float) -> float:
    """E (x.y / D + 1)^3 of independent Gaussians with these means in every feature."""
    variance = BY_USER**2 + BY_PROMPT**2 + NOISE**2
    pairs = zip(moments(mean, variance), moments(other, variance), strict=True)
    one, two, three = (float((x * y).sum()) for x, y in pairs)
    return three / WIDTH**3 + 3 * two / WIDTH**2 + 3 * one / WIDTH + 1


def moments(mean: float, variance: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """E x_i, E x_i x_j and E x_i x_j x_k of a Gaussian with independent features of one mean and variance."""
    mu, cov = np.full(WIDTH, mean), variance * np.eye(WIDTH)
    mixed = np.einsum("ij,k->ijk", cov, mu)
    third = np.einsum("i,j,k->ijk", mu, mu, mu) + mixed + mixed.transpose(0, 2, 1) + mixed.transpose(2, 1, 0)
    return mu, np.outer(mu, mu) + cov, third


@pytest.mark.slow
@pytest.mark.parametrize("n_prompts", [3, 5, 10])
def test_kid_is_the_populations_however_few_the_prompts(n_prompts: int) -> None:
    """Dropping pairs of one user alone leaves far more than the truth."""
    truth = 1000 * (expected_cubic(SHIFT, SHIFT) + expected_cubic(0, 0) - 2 * expected_cubic(SHIFT, 0))
    assert truth == pytest.approx(358, abs=1)
    rng, metric, values, by_user = np.random.default_rng(n_prompts), KernelInceptionDistance(), [], []
    for _ in range(SIMULATIONS):
        drawn, reference = images(rng, n_prompts, SHIFT, "d"), images(rng, 36, 0.0, "r")
        values.append(metric.compare(drawn, reference))
        by_user.append(1000 * users_apart(drawn, reference, cubic_kernel))
    error = np.std(values) / np.sqrt(SIMULATIONS)
    assert abs(np.mean(values) - truth) < 3 * error
    assert np.mean(by_user) > truth + 6 * error


def users_apart(drawn: FeatureSet, reference: FeatureSet, kernel: Kernel) -> float:
    groupings = [(drawn.users, reference.users)]
    return float(unbiased_mmd(drawn.features, reference.features, kernel, groupings=groupings))


@pytest.mark.slow
@pytest.mark.parametrize("n_prompts", [3, 10])
@pytest.mark.parametrize("metric", [KernelInceptionDistance(), GaussianDistance()])
def test_one_population_on_both_sides_is_at_0(metric: SetMetric, n_prompts: int) -> None:
    """Also where both sides show the same prompts to the same users, which share effects."""
    rng, values, together = np.random.default_rng(n_prompts), [], []
    for _ in range(SIMULATIONS // 2):
        drawn, reference = images(rng, n_prompts, 0.0, "d"), images(rng, 36, 0.0, "r")
        values.append(metric.compare(drawn, reference))
        again = drawn.features + NOISE * rng.standard_normal(drawn.features.shape)
        other = drawn.features + NOISE * rng.standard_normal(drawn.features.shape)
        together.append(metric.compare(*(FeatureSet(f, drawn.users, drawn.prompts) for f in (again, other))))
    for found in (values, together):
        assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(SIMULATIONS // 2)


@pytest.mark.slow
def test_the_designs_populations_are_those_of_the_moments() -> None:
    rng = np.random.default_rng(0)
    sd = np.sqrt(BY_USER**2 + BY_PROMPT**2 + NOISE**2)
    x, y = SHIFT + sd * rng.standard_normal((4000, WIDTH)), sd * rng.standard_normal((4000, WIDTH))
    assert cubic_kernel(x, y).mean() == pytest.approx(expected_cubic(SHIFT, 0), rel=0.02)
    assert cubic_kernel(x, SHIFT + y).mean() == pytest.approx(expected_cubic(SHIFT, SHIFT), rel=0.05)
