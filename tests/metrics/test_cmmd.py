"""`mmd` and `cmmd` against double loops, scikit-learn's kernel, and the weaknesses that their docstrings declare."""

from __future__ import annotations

from itertools import product
from math import exp

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from prefbench.api import FeatureSet, FloatArray, NotMeasurableError, PrefbenchError, SetMetric
from prefbench.metrics.cmmd import ClipDistance
from prefbench.metrics.mmd import GaussianDistance


def feature_set(features: FloatArray, *, users: int, name: str = "u") -> FeatureSet:
    owners = np.array([f"{name}{i % users}" for i in range(len(features))])
    return FeatureSet(features, owners, np.array([f"prompt {i % 6}" for i in range(len(features))]))


def two_sets(n: int = 24, m: int = 20, d: int = 6) -> tuple[FeatureSet, FeatureSet]:
    """Some users are in both."""
    rng = np.random.default_rng(0)
    return (
        feature_set(rng.standard_normal((n, d)) + 0.5, users=5),
        feature_set(2 * rng.standard_normal((m, d)), users=7),
    )


def test_mmd_equals_a_loop_over_pairs_of_different_users_and_prompts() -> None:
    drawn, reference = two_sets()
    points = reference.features
    distances = [float(np.linalg.norm(points[i] - points[j])) for i in range(20) for j in range(i)]
    median = float(np.median(distances))

    def kernel(a: FloatArray, b: FloatArray) -> float:
        squared = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
        return sum(exp(-squared / (2 * (factor * median) ** 2)) for factor in (0.25, 0.5, 1, 2, 4)) / 5

    def mean(x: FeatureSet, y: FeatureSet) -> float:
        indices = product(range(len(x)), range(len(y)))
        pairs = [(i, j) for i, j in indices if x.users[i] != y.users[j] and x.prompts[i] != y.prompts[j]]
        return sum(kernel(x.features[i], y.features[j]) for i, j in pairs) / len(pairs)

    expected = mean(drawn, drawn) + mean(reference, reference) - 2 * mean(drawn, reference)
    assert GaussianDistance().compare(drawn, reference) == pytest.approx(1000 * expected, rel=1e-10)


def test_mmd_does_not_depend_on_the_scale_of_features() -> None:
    drawn, reference = two_sets()
    plain = GaussianDistance().compare(drawn, reference)
    scaled = [FeatureSet(1000 * s.features, s.users, s.prompts) for s in (drawn, reference)]
    assert GaussianDistance().compare(*scaled) == pytest.approx(plain, rel=1e-9)


def test_cmmd_equals_the_published_formula() -> None:
    """With gamma = 1 / 2·10², all pairs, on unit vectors, as the published code has it."""
    drawn, reference = two_sets()
    x, y = (s.features / np.sqrt((s.features**2).sum(axis=1, keepdims=True)) for s in (drawn, reference))
    gamma = 1 / (2 * 10**2)
    means = [float(np.mean(rbf_kernel(a, b, gamma=gamma))) for a, b in ((x, x), (y, y), (x, y))]
    expected = 1000 * (means[0] + means[1] - 2 * means[2])
    assert ClipDistance().compare(drawn, reference) == pytest.approx(expected, abs=1e-9)
    doubled = FeatureSet(3 * drawn.features, drawn.users, drawn.prompts)
    assert ClipDistance().compare(doubled, reference) == pytest.approx(expected, abs=1e-9)


def square(n: int, seed: int) -> FloatArray:
    """Equal norms; four axes at 1 and four at ±0.5, each sign by itself: sixteen corners around one mean."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n, 4))
    return np.concatenate([np.ones((n, 4)), 0.5 * signs], axis=1)


def line(n: int, seed: int) -> FloatArray:
    """The same mean and norms, but all four signs alike: two corners."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n, 1))
    return np.concatenate([np.ones((n, 4)), 0.5 * np.repeat(signs, 4, axis=1)], axis=1)


def test_cmmd_hardly_sees_spread_where_mmd_does() -> None:
    reference, alike, other = (
        feature_set(features, users=1000, name=name)
        for name, features in (("a", square(1000, 1)), ("b", square(1000, 2)), ("c", line(1000, 3)))
    )
    cmmd, mmd = ClipDistance(), GaussianDistance()
    assert cmmd.compare(other, reference) < 3 * cmmd.compare(alike, reference)
    assert mmd.compare(other, reference) > 100 > 20 > abs(mmd.compare(alike, reference))


def test_the_bias_of_cmmd_is_the_declared_one() -> None:
    draws = [
        ClipDistance().compare(feature_set(square(40, 2 * i), users=5), feature_set(square(60, 2 * i + 1), users=5))
        for i in range(200)
    ]
    many = square(2000, 0) / np.sqrt(5)
    kernel = float(np.mean(rbf_kernel(many[:1000], many[1000:], gamma=1 / 200)))
    assert np.mean(draws) == pytest.approx(1000 * (1 - kernel) * (1 / 40 + 1 / 60), rel=0.1)


@pytest.mark.parametrize("metric", [GaussianDistance(), ClipDistance()])
def test_exchanged_users_are_those_of_a_new_comparison(metric: SetMetric) -> None:
    """Users of unequal numbers of images; references of the same users, of others, and of not all of them."""
    rng = np.random.default_rng(0)
    users, prompts = np.array([f"u{i % 7 % 5}" for i in range(40)]), np.array([f"p{i % 3}" for i in range(40)])
    first, second = (FeatureSet(rng.standard_normal((40, 6)) + shift, users, prompts) for shift in (0.0, 0.3))
    owners = np.array([f"u{i % 9}" for i in range(30)])
    reference = FeatureSet(rng.standard_normal((30, 6)), owners, np.array([f"p{i % 4}" for i in range(30)]))
    reference = reference.select(owners != "u2")
    found = metric.resampling.permuted_difference(first, second, reference)
    for marked in rng.random((8, 5)) < 0.5:
        swapped = marked[np.unique(users, return_inverse=True)[1]][:, None]
        own, other = (np.where(swapped, b.features, a.features) for a, b in ((first, second), (second, first)))
        values = [metric.compare(FeatureSet(f, users, prompts), reference) for f in (own, other)]
        assert found(marked) == pytest.approx(values[0] - values[1], abs=1e-9)


def test_what_cannot_be_measured_is_refused() -> None:
    drawn, reference = two_sets()
    with pytest.raises(NotMeasurableError, match="mmd needs drawn images of at least 2 users"):
        GaussianDistance().compare(feature_set(drawn.features, users=1), reference)
    equal = feature_set(np.ones((9, 6)), users=3)
    with pytest.raises(NotMeasurableError, match="mmd: of the references the median distance of 9 points is 0"):
        GaussianDistance().compare(drawn, equal)
    blank = feature_set(np.zeros((4, 6)), users=2)
    with pytest.raises(NotMeasurableError, match="cmmd: a feature vector is 0"):
        ClipDistance().compare(blank, reference)
    for metric in (GaussianDistance(), ClipDistance()):
        with pytest.raises(PrefbenchError, match="at least 2 drawn images, there is 1"):
            metric.compare(drawn.select(np.array([0])), reference)
        with pytest.raises(PrefbenchError, match="different widths, 6 and 5"):
            metric.compare(drawn, FeatureSet(reference.features[:, :5], reference.users, reference.prompts))
