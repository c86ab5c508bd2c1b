"""`density` and `coverage` against the formulas of `prdc` in a loop, and in closed form."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from prefbench.api import FeatureSet, FloatArray, NotMeasurableError, PrefbenchError, Resampling
from prefbench.metrics.coverage import Coverage
from prefbench.metrics.density import Density
from prefbench.metrics.shared.ball_count import NEAREST, Balls


def feature_set(features: FloatArray) -> FeatureSet:
    owners = np.array([f"u{i % 5}" for i in range(len(features))])
    return FeatureSet(features, owners, np.full(len(features), "a prompt"))


def looped(drawn: FloatArray, reference: FloatArray, k: int = 5) -> tuple[float, float]:
    """Density and coverage as `prdc` has them: the k-th nearest is the (k + 1)-th when a point counts itself."""
    radii = []
    for x in reference:
        distances = sorted(float(np.sqrt(((x - other) ** 2).sum())) for other in reference)
        radii.append(distances[k])
    inside = covered = 0
    for x, radius in zip(reference, radii, strict=True):
        near = [y for y in drawn if float(np.sqrt(((x - y) ** 2).sum())) < radius]
        inside += len(near)
        covered += bool(near)
    return inside / (k * len(drawn)), covered / len(reference)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 40, 3), (25, 60, 8), (60, 20, 2)])
def test_they_equal_loops(n: int, m: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefbench.metrics.shared.ball_count._BLOCK", 7)  # so that several blocks are joined
    rng = np.random.default_rng(n + m)
    drawn, reference = 0.7 * rng.standard_normal((n, d)) + 0.7, rng.standard_normal((m, d))
    density, coverage = looped(drawn, reference)
    assert density > 0
    assert Density().compare(feature_set(drawn), feature_set(reference)) == pytest.approx(density, abs=1e-12)
    assert Coverage().compare(feature_set(drawn), feature_set(reference)) == pytest.approx(coverage, abs=1e-12)


def test_the_arguments_have_an_order() -> None:
    """Swapped arguments are the usual slip: one tight cluster of drawn images inside wide references."""
    rng = np.random.default_rng(0)
    tight, wide = feature_set(0.01 * rng.standard_normal((60, 2))), feature_set(rng.standard_normal((60, 2)))
    assert Density().compare(tight, wide) > 1 > Density().compare(wide, tight)
    assert Coverage().compare(tight, wide) < 0.5
    assert Coverage().compare(wide, tight) < 0.3


def test_equal_distributions_reach_what_is_expected() -> None:
    rng = np.random.default_rng(0)
    sets = [[feature_set(rng.standard_normal((100, 4))) for _ in range(2)] for _ in range(60)]
    expected = 1 - np.prod([(100 - i) / (200 - i) for i in range(1, 6)])
    assert np.mean([Coverage().compare(*pair) for pair in sets]) == pytest.approx(expected, abs=0.01)
    assert np.mean([Density().compare(*pair) for pair in sets]) == pytest.approx(1, abs=0.03)


def test_equal_pictures_are_equally_near_whatever_their_norm() -> None:
    """Six equal references have balls of radius 0, inside which nothing lies, not even a copy."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        equal = np.repeat(1e3 * rng.standard_normal((1, 50 + seed)), 6, axis=0)
        reference = np.concatenate([equal, rng.standard_normal((30, 50 + seed))])
        drawn = reference[: 2 + seed % 4]
        assert looped(drawn, reference) == (0, 0)
        assert Density().compare(feature_set(drawn), feature_set(reference)) == 0
        assert Coverage().compare(feature_set(drawn), feature_set(reference)) == 0


def nearest_neighbours(drawn: FloatArray, reference: FloatArray, algorithm: Literal["brute", "kd_tree"]) -> list[int]:
    """Drawn rows in each reference's ball, by scikit-learn."""
    radii = NearestNeighbors(n_neighbors=NEAREST, algorithm=algorithm).fit(reference).kneighbors()[0][:, -1]
    among_drawn = NearestNeighbors(n_neighbors=len(drawn), algorithm=algorithm).fit(drawn)
    counts: list[int] = (among_drawn.kneighbors(reference)[0] < radii[:, None]).sum(axis=1).tolist()
    return counts


@pytest.mark.parametrize("width", [3, 64, 512])
def test_balls_hold_what_scikit_learn_finds_in_them(width: int) -> None:
    """Half of the drawn images are copies of references, which lie on the edges of balls."""
    rng = np.random.default_rng(width)
    reference = rng.standard_normal((120, width))
    drawn = np.concatenate([rng.standard_normal((40, width)), reference[:40]])
    balls = Balls.around("density", feature_set(drawn), feature_set(reference))
    assert balls.inside.tolist() == nearest_neighbours(drawn, reference, "kd_tree")


def test_scikit_learns_fast_way_finds_equal_pictures_apart() -> None:
    """Why the counts are our own."""
    inside = {"ours": 0, "brute": 0, "kd_tree": 0}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        equal = np.repeat(1e3 * rng.standard_normal((1, 50 + seed)), 6, axis=0)
        reference = np.concatenate([equal, rng.standard_normal((30, 50 + seed))])
        drawn = reference[: 2 + seed % 4]
        inside["ours"] += int(Balls.around("density", feature_set(drawn), feature_set(reference)).inside.sum())
        inside["brute"] += sum(nearest_neighbours(drawn, reference, "brute"))
        inside["kd_tree"] += sum(nearest_neighbours(drawn, reference, "kd_tree"))
    assert inside["ours"] == inside["kd_tree"] == 0
    assert inside["brute"] > 0


@pytest.mark.parametrize("metric", [Density(), Coverage()])
def test_exchanged_users_are_those_of_a_new_comparison(metric: Density | Coverage) -> None:
    """Users of unequal numbers of images, against the contract's own way of comparing anew."""
    rng = np.random.default_rng(0)
    users, prompts = np.array([f"u{i % 7 % 5}" for i in range(40)]), np.full(40, "a prompt")
    first, second = (FeatureSet(rng.standard_normal((40, 3)) + shift, users, prompts) for shift in (0.5, 1.0))
    reference = feature_set(rng.standard_normal((50, 3)))
    found, anew = (
        metric.resampling.permuted_difference(first, second, reference),
        Resampling(metric).permuted_difference(first, second, reference),
    )
    differences = [(found(marked), anew(marked)) for marked in rng.random((12, 5)) < 0.5]
    for value, expected in differences:
        assert value == pytest.approx(expected, abs=1e-12)
    assert len({value for value, _ in differences}) > 5
    with pytest.raises(NotMeasurableError, match="at least 20 reference images"):
        metric.resampling.permuted_difference(first, second, reference.select(np.arange(9)))


@pytest.mark.parametrize("metric", [Density(), Coverage()])
def test_too_few_references_are_refused(metric: Density | Coverage) -> None:
    many = feature_set(np.random.default_rng(0).standard_normal((20, 4)))
    few = many.select(np.arange(19))
    assert metric.compare(few, many) > 0
    with pytest.raises(
        NotMeasurableError, match=f"{metric.card.name} needs at least 20 reference images, there are 19"
    ):
        metric.compare(many, few)
    with pytest.raises(NotMeasurableError, match="at least 2 drawn images, there is 1"):
        metric.compare(many.select(np.arange(1)), many)
    with pytest.raises(PrefbenchError, match="different widths, 3 and 4"):
        metric.compare(feature_set(many.features[:, :3]), many)
