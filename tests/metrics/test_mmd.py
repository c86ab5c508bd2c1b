"""MMD estimators against double loops, in NumPy and in torch, and their bias under clustered data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from prefbench.api import FloatArray
from prefbench.stats.mmd import (
    GaussianMixture,
    Kernel,
    biased_mmd,
    cubic_kernel,
    median_distance,
    squared_distances,
    unbiased_mmd,
)

KERNELS: dict[str, Kernel] = {"cubic": cubic_kernel, "gaussian": GaussianMixture((0.5, 2.0, 4.0))}


def sets(seed: int = 0) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((13, 5)), rng.standard_normal((9, 5)) + 0.5


Groupings = list[tuple[list[str], list[str]]]


def looped(x: FloatArray, y: FloatArray, kernel: Kernel, groupings: Groupings) -> float:
    """The U-statistic written out, pair by pair."""

    def mean(a: FloatArray, b: FloatArray, skip: Callable[[int, int], bool]) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not skip(i, j)]
        return float(np.mean([kernel(a[[i]], b[[j]])[0, 0] for i, j in pairs]))

    def within(a: FloatArray, side: int) -> float:
        return mean(a, a, lambda i, j: i == j or any(one[side][i] == one[side][j] != "" for one in groupings))

    across = mean(x, y, lambda i, j: any(own[i] == other[j] != "" for own, other in groupings))
    return within(x, 0) + within(y, 1) - 2 * across


def test_kernels_equal_scikit_learn() -> None:
    x, y = sets()
    assert cubic_kernel(x, y) == pytest.approx(polynomial_kernel(x, y, degree=3, coef0=1))
    reference = sum(rbf_kernel(x, y, gamma=1 / (2 * w**2)) for w in (0.5, 2.0, 4.0)) / 3
    assert KERNELS["gaussian"](x, y) == pytest.approx(reference)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_estimators_equal_double_loops(kernel: Kernel, kind: Callable[[FloatArray], Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("prefbench.stats.mmd._BLOCK", 4)  # so that several blocks are summed
    x, y = sets()
    a, b = kind(x), kind(y)
    assert float(unbiased_mmd(a, b, kernel)) == pytest.approx(looped(x, y, kernel, []), abs=1e-12)
    users = ([f"u{i // 3}" for i in range(13)], [f"u{i // 2 + 2}" for i in range(9)])
    prompts = ([f"p{i % 4}" if i else "" for i in range(13)], [f"p{i % 3 + 2}" if i > 1 else "" for i in range(9)])
    for groupings in ([users], [users, prompts]):
        found = float(unbiased_mmd(a, b, kernel, groupings=groupings))
        assert found == pytest.approx(looped(x, y, kernel, groupings), abs=1e-12)
    expected = kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean()
    assert float(biased_mmd(a, b, kernel)) == pytest.approx(expected, abs=1e-12)


def test_one_image_a_user_is_the_plain_statistic() -> None:
    x, y = sets()
    users = ([f"a{i}" for i in range(13)], [f"b{i}" for i in range(9)])
    assert unbiased_mmd(x, y, groupings=[users]) == pytest.approx(unbiased_mmd(x, y), abs=1e-13)


@pytest.mark.parametrize("same_users", [False, True])
def test_pairs_of_a_user_bias_the_plain_statistic_only(same_users: bool) -> None:
    """Both sets come from one population of users, so the truth is 0: 12 users a side, 5 images each, shared tastes."""
    rng, plain, clustered, kernel = np.random.default_rng(0), [], [], GaussianMixture((3.0,))
    users = np.repeat(np.arange(12), 5).astype(str)
    others = users if same_users else np.char.add("other", users)
    for _ in range(300):
        tastes = rng.standard_normal((2, 12, 6))
        left = np.repeat(tastes[0], 5, axis=0) + rng.standard_normal((60, 6))
        right = np.repeat(tastes[0 if same_users else 1], 5, axis=0) + rng.standard_normal((60, 6))
        plain.append(unbiased_mmd(left, right, kernel))
        clustered.append(unbiased_mmd(left, right, kernel, groupings=[(users, others)]))
    error = np.std(clustered) / np.sqrt(300)
    assert abs(np.mean(clustered)) < 3 * error
    assert abs(np.mean(plain)) > 3 * np.std(plain) / np.sqrt(300)
    assert np.sign(np.mean(plain)) == (-1 if same_users else 1)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("estimator", [biased_mmd, unbiased_mmd])
def test_gradients_are_right_and_finite_at_equal_points(kernel: Kernel, estimator: Callable[..., Any]) -> None:
    x, y = (torch.from_numpy(s).requires_grad_() for s in sets())
    assert torch.autograd.gradcheck(lambda a, b: estimator(a, b, kernel), (x, y))
    same = torch.ones(4, 5, requires_grad=True)
    estimator(same, torch.ones(3, 5), kernel).backward()
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()


def test_biased_statistic_has_its_closed_form_bias() -> None:
    x, y = sets()
    kernel = GaussianMixture((2.0,))
    within = [(kernel(s, s).sum() - len(s)) / (len(s) * (len(s) - 1)) for s in (x, y)]
    bias = (1 - within[0]) / len(x) + (1 - within[1]) / len(y)
    assert biased_mmd(x, y, kernel) - unbiased_mmd(x, y, kernel) == pytest.approx(bias)
    assert biased_mmd(x, x, kernel) == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_widths_follow_the_median_distance() -> None:
    x = np.array([[0.0], [1.0], [3.0]])
    assert median_distance(x) == 2.0
    assert GaussianMixture.at_median(x).widths == (0.5, 1.0, 2.0, 4.0, 8.0)
    assert GaussianMixture.at_median(torch.from_numpy(x).requires_grad_(), [1]).widths == (2.0,)
    many = np.random.default_rng(0).standard_normal((3000, 2))
    assert median_distance(many, limit=500) == pytest.approx(median_distance(many, limit=3000), rel=0.05)
    with pytest.raises(ValueError, match="no kernel width"):
        GaussianMixture.at_median(np.ones((5, 2)))


def test_no_pair_left_is_an_error() -> None:
    x, y = sets()
    with pytest.raises(ValueError, match="no pair"):
        unbiased_mmd(x[:1], y)
    with pytest.raises(ValueError, match="no pair"):
        unbiased_mmd(x, y, groupings=[(["a"] * 13, ["b", "c", "d"] * 3)])
    with pytest.raises(ValueError, match="groups given"):
        unbiased_mmd(x, y, groupings=[(["a"], ["b"])])


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_distances_are_those_of_differences_wherever_the_points_lie(offset: float) -> None:
    """Also of two clusters so far from each other that no centre is near both; equal points are at 0."""
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, (30, 4)) / 4 + offset * (np.arange(30) % 2)[:, None]
    y = np.concatenate([x[:5], rng.integers(-8, 9, (20, 4)) / 4 + offset])
    exact = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    assert squared_distances(x, y) == pytest.approx(exact, rel=1e-8)
    assert (squared_distances(x, y)[exact == 0] == 0).all()
