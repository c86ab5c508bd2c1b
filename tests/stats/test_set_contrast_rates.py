"""Contrasts of set metrics over many draws of users and prompts: errors of the test, coverage of the interval."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.api import FeatureSet, FloatArray, SetMetric
from prefbench.metrics.fid import FrechetDistance
from prefbench.metrics.kid import KernelInceptionDistance
from prefbench.score.sets import WITHOUT_KEYS, jackknife
from prefbench.stats.jackknife import JackknifeTest, jackknife_test
from prefbench.stats.permutation import label_swap

WIDTH, BY_USER, BY_PROMPT, REFERENCE_PROMPTS = 8, 0.5, 0.5, 36
SHIFT = 0.3
"""How far both methods lie from the references, in every feature; the second may lie farther."""
SIMULATIONS, SWAPS = 80, 49
Sets = tuple[FeatureSet, FeatureSet, FeatureSet]


def simulated(
    rng: np.random.Generator, n_users: int, n_prompts: int, by_method_and_prompt: float, farther: float
) -> Sets:
    """Two methods on the same users and prompts with effects of their own on each prompt, and references."""
    user, prompt = np.repeat(np.arange(n_users), n_prompts), np.tile(np.arange(n_prompts), n_users)
    of_users, of_prompts = (
        sd * rng.standard_normal((n, WIDTH)) for sd, n in ((BY_USER, n_users), (BY_PROMPT, n_prompts))
    )
    users, prompts = np.char.add("u", user.astype(str)), np.char.add("p", prompt.astype(str))

    def method(shift: float) -> FeatureSet:
        own = by_method_and_prompt * rng.standard_normal((n_prompts, WIDTH))
        noise = rng.standard_normal((len(user), WIDTH))
        return FeatureSet(shift + of_users[user] + (of_prompts + own)[prompt] + noise, users, prompts)

    shown = rng.integers(0, REFERENCE_PROMPTS, len(user))
    of_shown = BY_PROMPT * rng.standard_normal((REFERENCE_PROMPTS, WIDTH))[shown]
    likes: FloatArray = of_users[user] + of_shown + rng.standard_normal((len(user), WIDTH))
    reference = FeatureSet(likes, users, np.char.add("r", shown.astype(str)))
    return method(SHIFT), method(SHIFT + farther), reference


def difference_and_test(
    metric: SetMetric, sets: tuple[FeatureSet, FeatureSet, FeatureSet]
) -> tuple[float, JackknifeTest]:
    """The difference and its test, from values without each user and each prompt as scoring stores them."""
    first, second, reference = sets
    without = [jackknife(metric, drawn, reference) for drawn in (first, second)]
    left_out = [
        [(without[0][key] or 0) - (without[1][key] or 0) for key in without[0] if key.startswith(prefix)]
        for prefix in WITHOUT_KEYS
    ]
    difference = metric.compare(first, reference) - metric.compare(second, reference)
    test = jackknife_test(difference, left_out)
    assert test is not None
    return difference, test


@pytest.mark.slow
@pytest.mark.parametrize("metric", [FrechetDistance(), KernelInceptionDistance()], ids=lambda metric: metric.card.name)
@pytest.mark.parametrize(("n_users", "n_prompts"), [(20, 4), (20, 10), (30, 10), (20, 20), (100, 4)])
@pytest.mark.parametrize("by_method_and_prompt", [0.0, 0.3, 0.6])
def test_equal_methods_are_seldom_called_different(
    metric: SetMetric, n_users: int, n_prompts: int, by_method_and_prompt: float
) -> None:
    """The p value is the larger of Student's t and the label swap, which is only made where it can matter."""
    rng, hits, covered = np.random.default_rng(n_users + n_prompts), 0, 0
    for _ in range(SIMULATIONS):
        sets = simulated(rng, n_users, n_prompts, by_method_and_prompt, 0.0)
        difference, test = difference_and_test(metric, sets)
        covered += abs(difference) <= test.half_width
        if test.p_value < 0.05:
            swapped = metric.resampling.permuted_difference(*sets)
            hits += label_swap(n_users, swapped, replicates=SWAPS) < 0.05
    assert hits / SIMULATIONS <= 0.07
    assert covered / SIMULATIONS >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("metric", [FrechetDistance(), KernelInceptionDistance()], ids=lambda metric: metric.card.name)
@pytest.mark.parametrize("n_prompts", [4, 10])
def test_the_interval_of_unlike_methods_holds_their_difference(metric: SetMetric, n_prompts: int) -> None:
    """The second method lies a third farther from the references; the truth is the mean over all draws."""
    rng = np.random.default_rng(n_prompts)
    results = [difference_and_test(metric, simulated(rng, 20, n_prompts, 0.3, 0.1)) for _ in range(SIMULATIONS)]
    truth = np.mean([difference for difference, _ in results])
    assert truth < 0
    assert np.mean([abs(difference - truth) <= test.half_width for difference, test in results]) >= 0.92


@pytest.mark.slow
def test_swapping_labels_alone_takes_prompts_for_methods() -> None:
    """Why the label swap is not the test: it calls a third and more of equal methods different."""
    rng, metric, hits = np.random.default_rng(0), KernelInceptionDistance(), 0
    for _ in range(SIMULATIONS):
        sets = simulated(rng, 20, 4, 0.6, 0.0)
        hits += label_swap(20, metric.resampling.permuted_difference(*sets), replicates=SWAPS) < 0.05
    assert hits / SIMULATIONS > 0.2
