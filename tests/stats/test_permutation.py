"""Permutation tests against enumeration and scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from prefbench.stats.permutation import label_swap, sign_flip


@pytest.mark.parametrize("n", [1, 5, 9])
def test_sign_flip_equals_enumeration(n: int) -> None:
    d = np.random.default_rng(n).standard_normal(n) + 0.4
    flips = [abs(np.dot(signs, d)) for signs in itertools.product([1, -1], repeat=n)]
    assert sign_flip(d) == np.mean(np.array(flips) >= abs(d.sum()) - 1e-9)


def test_sign_flip_of_many_users_agrees_with_scipy() -> None:
    d = np.random.default_rng(5).standard_normal(40) + 0.3
    rng = np.random.default_rng(0)
    reference = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=20_000, rng=rng)
    assert sign_flip(d, replicates=20_000) == pytest.approx(reference.pvalue, abs=0.01)
    assert sign_flip(np.full(40, 1.0), replicates=999) == 1 / 1000
    assert sign_flip(np.zeros(40)) == 1.0
    assert sign_flip(np.empty(0)) is None


def test_swapped_labels_of_a_mean_are_flipped_signs() -> None:
    differences = np.random.default_rng(3).normal(0.35, 1.0, 10)
    found = label_swap(10, lambda swapped: float(np.where(swapped, -1, 1) @ differences), replicates=8000)
    exact = sign_flip(differences)
    assert exact is not None
    assert 0.05 < exact < 0.95
    assert found == pytest.approx(exact, abs=0.02)


@pytest.mark.slow
def test_swapped_labels_find_no_difference_between_methods_that_are_alike() -> None:
    rng, found = np.random.default_rng(4), []
    for _ in range(200):
        drawn = rng.standard_normal((2, 12))
        spread = lambda swapped: float(np.std(np.where(swapped, *drawn)) - np.std(np.where(swapped, *drawn[::-1])))  # noqa: E731, B023
        found.append(label_swap(12, spread, replicates=99))
    assert 0.01 <= np.mean(np.array(found) <= 0.05) <= 0.10
