"""Features as extractors may give them, far from the origin, of any width, of the wrong shape: right, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import Features, FeatureSet, FloatArray, NotMeasurableError, Pixels, PrefbenchError, SetMetric
from prefbench.metrics.cmmd import ClipDistance
from prefbench.metrics.coverage import Coverage
from prefbench.metrics.density import Density
from prefbench.metrics.fid import FrechetDistance
from prefbench.metrics.kid import KernelInceptionDistance
from prefbench.metrics.mmd import GaussianDistance
from prefbench.score.cache import FeatureCache

METRICS: list[SetMetric] = [
    FrechetDistance(), KernelInceptionDistance(), GaussianDistance(), ClipDistance(), Density(), Coverage(),
]  # fmt: skip
WITHOUT_ORIGIN: list[SetMetric] = [FrechetDistance(), GaussianDistance(), Density(), Coverage()]
"""Metrics of distances between pictures, which do not change when all features move together."""


def feature_set(features: NDArray[Any], name: str = "u") -> FeatureSet:
    users = np.array([f"{name}{i % 8}" for i in range(len(features))])
    return FeatureSet(features, users, np.array([f"{name}'s prompt {i % 7}" for i in range(len(features))]))


def levels(seed: int, shift: int = 0) -> FloatArray:
    """Multiples of 1/4, which neither an offset of 1e8 nor float32 at 1e4 rounds."""
    return np.random.default_rng(seed).integers(-8 + shift, 9 + shift, (48, 5)) / 4


@pytest.mark.parametrize("metric", WITHOUT_ORIGIN, ids=lambda metric: metric.card.name)
@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_features_far_from_the_origin_get_the_numbers_of_those_near_it(metric: SetMetric, offset: float) -> None:
    drawn, reference = levels(0, shift=2), levels(1)
    near = metric.compare(feature_set(drawn), feature_set(reference, "v"))
    far = metric.compare(feature_set(drawn + offset), feature_set(reference + offset, "v"))
    assert near > 0
    assert far == pytest.approx(near, rel=1e-6)


def test_the_directions_of_far_features_hardly_differ_and_cmmd_says_so() -> None:
    """At 1e8 times the diagonal the unit vectors differ by 1e-8, and the squared distance is under 1e-12."""
    far = [feature_set(levels(seed, shift=2 - 2 * seed) + 1e8, name) for seed, name in ((0, "u"), (1, "v"))]
    assert 0 <= ClipDistance().compare(*far) < 1e-12


@pytest.mark.parametrize("offset", [0.0, 20.0, 1e3, 1e5, 1e8])
@pytest.mark.parametrize("alone", [False, True])
def test_a_kernel_that_depends_on_the_origin_is_right_or_refused(offset: float, alone: bool) -> None:
    """Rows that share no user or prompt weigh alike, so that of the huge kernel nearly all cancels."""
    sets = [feature_set(levels(seed, shift=2 - 2 * seed) + offset, name) for seed, name in ((0, "u"), (1, "v"))]
    if alone:
        sets = [
            FeatureSet(s.features, np.array([f"{s.users[0]}{i}" for i in range(48)]), np.full(48, "")) for s in sets
        ]
    try:
        value: float | None = KernelInceptionDistance().compare(*sets)
    except NotMeasurableError as error:
        value, reason = None, str(error)
        assert "too far from the origin (|x|²/D up to" in reason
    assert (value is None) == (alone and offset > 1e5)
    assert value is None or value == pytest.approx(in_long_double(*sets), rel=1e-3)


def in_long_double(drawn: FeatureSet, reference: FeatureSet) -> float:
    def mean(x: FeatureSet, y: FeatureSet) -> Any:
        a, b = (s.features.astype(np.longdouble) for s in (x, y))
        kernel = ((a[:, None] * b[None]).sum(axis=2) / 5 + 1) ** 3
        return kernel[(x.users[:, None] != y.users) & ((x.prompts[:, None] != y.prompts) | (y.prompts == ""))].mean()

    return float(1000 * (mean(drawn, drawn) + mean(reference, reference) - 2 * mean(drawn, reference)))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.card.name)
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64, np.int8, np.longdouble])
def test_numbers_of_any_width_are_measured_as_float64(metric: SetMetric, kind: Any) -> None:
    drawn, reference = 4 * levels(0, shift=2) + 1, 4 * levels(1) + 1
    expected = metric.compare(feature_set(drawn), feature_set(reference, "v"))
    assert metric.compare(feature_set(drawn.astype(kind)), feature_set(reference.astype(kind), "v")) == expected


def test_float32_features_far_from_the_origin_are_right() -> None:
    drawn, reference = levels(0, shift=2), levels(1)
    for metric in WITHOUT_ORIGIN:
        near = metric.compare(feature_set(drawn), feature_set(reference, "v"))
        far = [feature_set((s + 1e4).astype(np.float32), name) for s, name in ((drawn, "u"), (reference, "v"))]
        assert metric.compare(*far) == pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(6), r"features are numbers \(N, D\), got float64 \(6,\)"),
        (np.zeros((6, 2, 2)), r"got float64 \(6, 2, 2\)"),
        (np.zeros((6, 2), complex), "got complex128"),
        (np.full((6, 2), "0.5"), "got <U3"),
        (np.full((6, 2), None), "got object"),
        (np.full((6, 2), np.nan), "6 rows of features not finite, first row 0"),
        (np.array([[0.0]] * 5 + [[np.inf]]), "1 row of features not finite, first row 5"),
        (np.full((6, 2), 1e160), r"features reach 1e\+160, their products leave float64"),
        (np.full((6, 2), 1e-160), r"features reach 1e-160, their products leave float64"),
        (np.zeros((5, 2)), "one user and one prompt a row, got 5 features, 6 users, 6 prompts"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_where_the_set_is_made(features: NDArray[Any], message: str) -> None:
    with pytest.raises(PrefbenchError, match=message):
        FeatureSet(features, np.full(6, "ann"), np.full(6, "a cat"))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.card.name)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_features_at_the_edge_of_what_is_accepted_have_numbers(metric: SetMetric, scale: float) -> None:
    sets = feature_set(scale * levels(0, shift=2)), feature_set(scale * levels(1), "v")
    value = metric.compare(*sets)
    assert np.isfinite(value)
    if metric.card.name in ("mmd", "density", "coverage", "cmmd"):
        near = feature_set(levels(0, shift=2)), feature_set(levels(1), "v")
        assert value == pytest.approx(metric.compare(*near), rel=1e-9)


def test_a_frechet_distance_is_never_below_0() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((2 + seed, 1 + seed % 40))
        assert FrechetDistance().compare(feature_set(rng.permutation(x)), feature_set(x)) >= 0


class Halves:
    """An extractor that gives float32."""

    id = "halves[float32]@1"

    def images(self, pictures: Sequence[Pixels]) -> Features:
        return np.array([[p.mean() / 3, p.max()] for p in pictures], dtype=np.float32)

    def texts(self, texts: Sequence[str]) -> Features:
        raise NotImplementedError(texts)


def test_an_extractor_of_another_width_is_scored_twice_alike(tmp_path: Path) -> None:
    pictures = {f"digest{i}": np.full((2, 2, 3), 10 * i, np.uint8) for i in range(4)}

    def features() -> Features:
        cache = FeatureCache(tmp_path, Halves())
        return cache.get(list(pictures), lambda digests: [pictures[digest] for digest in digests])

    first, again = features(), features()
    assert first.dtype == again.dtype == np.float64
    assert np.array_equal(first, again)
    (shard,) = tmp_path.glob("features/*/*.npz")
    with np.load(shard) as stored:
        content = {name: stored[name] for name in stored.files}
    np.savez(shard, **{**content, "features": content["features"].astype(np.float32)})
    assert np.array_equal(features(), first), "a shard that an older version stored as it came"
