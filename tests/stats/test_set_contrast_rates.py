"""Contrasts of set metrics over many draws of users and prompts: errors of the test, coverage of the interval."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.rates import SET_METRICS, left_out, sets, swap_p_value
from benchmarks.studies import SET_EFFECTS, SetStudy, covers, is_seldom, set_study
from prefbench.score.sets import SET_KEY, WITHOUT_KEYS, jackknife
from prefbench.stats.jackknife import JackknifeTest, jackknife_test

SIMULATIONS = 80


def difference_and_test(metric: str, study: SetStudy) -> tuple[float, JackknifeTest]:
    """The difference and its test, from values without each user and each prompt as scoring stores them."""
    stored = []
    for drawn in (study.first, study.second):
        without = jackknife(SET_METRICS[metric], drawn, study.reference)
        stored.append({SET_KEY: SET_METRICS[metric].compare(drawn, study.reference), **without})
    differences = {key: (stored[0][key] or 0) - (stored[1][key] or 0) for key in stored[0]}
    test = jackknife_test(
        differences[SET_KEY], [[v for k, v in differences.items() if k.startswith(prefix)] for prefix in WITHOUT_KEYS]
    )
    assert test is not None
    return differences[SET_KEY], test


@pytest.mark.parametrize("metric", SET_METRICS)
@pytest.mark.parametrize(("users", "prompts"), [(5, 4), (60, 4)])
def test_simulated_values_without_each_are_those_that_scoring_stores(metric: str, users: int, prompts: int) -> None:
    """Of 60 users some are left out two at a time."""
    study = set_study(np.random.default_rng(0), users, prompts, (0.5, 0.3))
    found = left_out(SET_METRICS[metric], study.first, study.reference)
    stored = jackknife(SET_METRICS[metric], study.first, study.reference)
    assert found.value == pytest.approx(SET_METRICS[metric].compare(study.first, study.reference), rel=1e-9)
    assert list(stored.values()) == pytest.approx([*found.users, *found.prompts], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("metric", SET_METRICS)
@pytest.mark.parametrize(("users", "prompts"), [(5, 4), (10, 10), (20, 4), (20, 20), (100, 4)])
@pytest.mark.parametrize("effects", SET_EFFECTS)
def test_equal_methods_are_seldom_called_different(metric: str, users: int, prompts: int, effects: str) -> None:
    """The p value is the larger of Student's t and the label swap, which is only made where it can matter."""
    cell = sets(metric, effects, users, prompts, n=SIMULATIONS)
    assert is_seldom(cell["rejected"], SIMULATIONS)
    assert covers(cell["held"], SIMULATIONS)
    assert covers(cell["held_values"], SIMULATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["fid", "kid"])
@pytest.mark.parametrize("prompts", [4, 10])
def test_the_interval_of_unlike_methods_holds_their_difference(metric: str, prompts: int) -> None:
    """The second method lies a third farther from the references; the truth is the mean over all draws."""
    rng = np.random.default_rng(prompts)
    results = [
        difference_and_test(metric, set_study(rng, 20, prompts, (0.5, 0.3), farther=0.1)) for _ in range(SIMULATIONS)
    ]
    truth = np.mean([difference for difference, _ in results])
    assert truth < 0
    assert np.mean([abs(difference - truth) <= test.half_width for difference, test in results]) >= 0.92


@pytest.mark.slow
def test_swapping_labels_alone_takes_prompts_for_methods() -> None:
    """Why the label swap is not the test: it calls a third and more of equal methods different."""
    rng = np.random.default_rng(0)
    p_values = [swap_p_value(SET_METRICS["kid"], set_study(rng, 20, 4, (0.5, 0.6))) for _ in range(SIMULATIONS)]
    assert np.mean(np.array(p_values) < 0.05) > 0.2
