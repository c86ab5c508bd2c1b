"""Metrics against other implementations, closed forms, and a world whose truth can be read off a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from prefbench import registry
from prefbench.api import (
    DrawnImages,
    Evidence,
    Features,
    FeatureSet,
    FloatArray,
    ImageMetric,
    Metric,
    NotMeasurableError,
    Pixels,
    PrefbenchError,
    Resampling,
    Scored,
    SetMetric,
)
from prefbench.metrics.clip_score import ClipScore
from prefbench.metrics.cmmd import ClipDistance
from prefbench.metrics.coverage import Coverage
from prefbench.metrics.density import Density
from prefbench.metrics.fid import FrechetDistance, frechet_distance
from prefbench.metrics.kid import KernelInceptionDistance
from prefbench.metrics.mmd import GaussianDistance
from prefbench.metrics.prompt_fidelity import PromptFidelity
from prefbench.metrics.utility import Utility


def feature_set(features: FloatArray, *, users: int | None = None, name: str = "u") -> FeatureSet:
    """Features whose rows belong to `users` users in turn, each to its own by default, and have no prompt."""
    owners = np.array([f"{name}{i % (users or len(features))}" for i in range(len(features))])
    return FeatureSet(features, owners, np.full(len(features), ""))


def two_sets(d: int, n: int, m: int) -> tuple[FloatArray, FloatArray]:
    """Correlated Gaussian features (n, d) and (m, d) with different means and covariances."""
    rng = np.random.default_rng(d + n + m)
    x = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d)
    y = rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) / np.sqrt(d) + 0.3
    return x, y


class Passthrough(torch.nn.Module):
    """Features in, the same features out, as torchmetrics wants its networks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def torchmetrics_distance(kind: str, x: FloatArray, y: FloatArray) -> float:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    metric: Any
    if kind == "fid":
        metric = FrechetInceptionDistance(feature=Passthrough(x.shape[1])).set_dtype(torch.float64)
    else:
        metric = KernelInceptionDistance(feature=Passthrough(x.shape[1]), subsets=1, subset_size=len(x))
    metric.update(torch.from_numpy(x), real=False)
    metric.update(torch.from_numpy(y), real=True)
    found = metric.compute()
    return float(found[0] if kind == "kid" else found)


SHAPES = [(64, 500, 400), (64, 40, 40), (64, 40, 300), (200, 150, 90)]


@pytest.mark.parametrize(("d", "n", "m"), SHAPES)
def test_fid_equals_other_implementations(d: int, n: int, m: int) -> None:
    x, y = two_sets(d, n, m)
    ours = FrechetDistance().compare(feature_set(x), feature_set(y))
    # The others take roots of singular matrices where there are fewer samples than dimensions.
    tolerance = 1e-8 if min(n, m) > d else 2e-4
    assert torchmetrics_distance("fid", x, y) == pytest.approx(ours, abs=tolerance)
    fidelity = pytest.importorskip("torch_fidelity.metric_fid", reason="torch-fidelity is a development extra")
    statistics = [fidelity.fid_features_to_statistics(torch.from_numpy(s)) for s in (x, y)]
    theirs = fidelity.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert float(theirs) == pytest.approx(ours, abs=tolerance)
    moments = [m for s in (x, y) for m in (s.mean(axis=0), np.cov(s, rowvar=False))]
    for package in ("cleanfid.fid", "pytorch_fid.fid_score"):
        module = pytest.importorskip(package, reason="clean-fid and pytorch-fid are development extras")
        distance = getattr(module, "frechet_distance", None) or module.calculate_frechet_distance
        assert float(distance(*moments)) == pytest.approx(ours, abs=tolerance)


def test_fid_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200_000, 8)), 1 + 2 * rng.standard_normal((200_000, 8))
    assert frechet_distance(x, y) == pytest.approx(8 * 1 + 8 * (2 - 1) ** 2, rel=0.01)
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [9.0]])) == pytest.approx(25 + 8)


@pytest.mark.parametrize(("d", "n", "m"), SHAPES)
def test_fid_has_the_properties_of_a_distance(d: int, n: int, m: int) -> None:
    x, y = two_sets(d, n, m)
    distance = frechet_distance(x, y)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(y, x) == pytest.approx(distance, rel=1e-10)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d))).Q
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(distance, rel=1e-9)
    shift = np.random.default_rng(1).standard_normal(d)
    assert frechet_distance(x, x + shift) == pytest.approx(shift @ shift, abs=1e-8)


def test_kid_equals_other_implementations() -> None:
    x, y = two_sets(32, 60, 60)
    ours = KernelInceptionDistance().compare(feature_set(x), feature_set(y, name="other"))
    assert torchmetrics_distance("kid", x, y) * 1000 == pytest.approx(ours, rel=1e-10)
    cleanfid = pytest.importorskip("cleanfid.fid", reason="clean-fid is a development extra")
    assert cleanfid.kernel_distance(x, y, num_subsets=1) * 1000 == pytest.approx(ours, rel=1e-10)


def test_kid_drops_pairs_of_a_user_or_a_prompt_and_does_not_depend_on_order() -> None:
    """Users 0 to 5 and prompts 2 to 4 are in both sets."""
    x, y = two_sets(16, 40, 30)
    drawn, reference = (
        replace(feature_set(s, users=n), prompts=np.array([f"p{i % 5 + first}" for i in range(len(s))]))
        for s, n, first in ((x, 8, 0), (y, 6, 2))
    )
    ours = KernelInceptionDistance().compare(drawn, reference)
    kernel = [(a @ b.T / 16 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    pairs = [(drawn, drawn), (reference, reference), (drawn, reference)]
    means = [
        k[(a.users[:, None] != b.users) & (a.prompts[:, None] != b.prompts)].mean()
        for k, (a, b) in zip(kernel, pairs, strict=True)
    ]
    assert ours == pytest.approx(1000 * (means[0] + means[1] - 2 * means[2]), rel=1e-12)
    shuffled = drawn.select(np.random.default_rng(0).permutation(40))
    assert KernelInceptionDistance().compare(shuffled, reference) == pytest.approx(ours, rel=1e-12)
    assert KernelInceptionDistance().compare(feature_set(x), reference) != pytest.approx(ours, rel=1e-3)


@pytest.mark.parametrize("metric", [FrechetDistance(), KernelInceptionDistance()])
def test_set_metrics_refuse_what_means_nothing(metric: SetMetric) -> None:
    x, y = (feature_set(s) for s in two_sets(4, 9, 8))
    with pytest.raises(PrefbenchError, match="at least 2 drawn images, there is 1"):
        metric.compare(x.select(np.array([0])), y)
    with pytest.raises(PrefbenchError, match="different widths, 4 and 3"):
        metric.compare(x, feature_set(y.features[:, :3]))


@pytest.mark.parametrize("metric", [KernelInceptionDistance(), GaussianDistance()])
def test_what_leaves_no_pair_of_different_users_and_prompts_is_refused_with_the_reason(metric: SetMetric) -> None:
    x, y = (feature_set(s) for s in two_sets(4, 5, 5))
    with pytest.raises(NotMeasurableError, match="needs drawn images of at least 2 users, there is 1"):
        metric.compare(replace(x, users=np.full(5, "ann")), y)
    with pytest.raises(NotMeasurableError, match="needs reference images of at least 2 prompts, there is 1"):
        metric.compare(x, replace(y, prompts=np.full(5, "a cat")))
    chain = FeatureSet(x.features[:3], np.array(["ann", "ann", "ben"]), np.array(["a cat", "a dog", "a dog"]))
    assert np.isfinite(metric.compare(chain, y)), "one pair is left"
    crossed = [np.array(names) for names in (["ann", "ben"], ["a cat", "a dog"], ["a dog", "a cat"])]
    with pytest.raises(NotMeasurableError, match="no two drawn and reference images differ in both user and prompt"):
        metric.compare(*(FeatureSet(s.features[:2], crossed[0], p) for s, p in ((x, crossed[1]), (y, crossed[2]))))


# ------------------------------------------------------------------------------------------- one value per sample


class BrightWorld:
    """A world of grey pictures: users named by the brightness they want, prompts by the one they ask for."""

    groups = ("light", "prompt")

    def utility(self, user: str, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        off = np.abs(np.array([p.mean() for p in pictures]) - float(user))
        return {"light": -off, "prompt": np.array(prompts, dtype=float), "total": 1 - off / 255}

    def fidelity(self, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        shown = np.array([float(p.mean() == float(asked)) for asked, p in zip(prompts, pictures, strict=True)])
        broken = np.where([p.mean() == 0 for p in pictures], np.nan, shown)
        return {"object": shown, "setting": broken, "total": shown * broken}


def sample(user: int, prompt: int, brightness: int) -> Scored:
    return Scored(f"{user}/{prompt}/{brightness}", str(user), str(prompt), np.full((4, 4, 3), brightness, np.uint8))


SAMPLES = [sample(50, 10, 50), sample(200, 10, 10), sample(50, 30, 101), sample(200, 0, 0)]
EVIDENCE = Evidence(BrightWorld(), {})  # type: ignore[arg-type]


def test_utility_is_that_of_the_user_it_was_drawn_for() -> None:
    columns = Utility().score(DrawnImages(SAMPLES, None, EVIDENCE))
    assert list(columns) == ["utility", "utility/light", "utility/prompt"]
    assert columns["utility/prompt"] == [float(sample.prompt) for sample in SAMPLES]
    assert columns["utility"] == pytest.approx([1, 1 - 190 / 255, 0.8, 1 - 200 / 255])
    assert columns["utility/light"] == pytest.approx([0, -190, -51, -200])


def test_prompt_fidelity_names_its_own_column_first_and_keeps_gaps() -> None:
    columns = PromptFidelity().score(DrawnImages(SAMPLES, None, EVIDENCE))
    assert list(columns) == ["prompt-fidelity", "prompt-fidelity/object", "prompt-fidelity/setting"]
    assert columns["prompt-fidelity/object"] == [0, 1, 0, 1]
    assert columns["prompt-fidelity"] == [0, 1, 0, None]


@pytest.mark.parametrize("metric", [Utility(), PromptFidelity()])
def test_metrics_of_the_truth_need_one(metric: ImageMetric) -> None:
    with pytest.raises(PrefbenchError, match=f"{metric.card.name} needs a suite that knows the truth"):
        metric.score(DrawnImages(SAMPLES, None, Evidence(None, {})))


def test_clip_score_is_the_cosine_to_the_original_prompt() -> None:
    texts = {"10": np.array([3.0, 0.0]), "30": np.array([0.0, 0.5]), "0": np.array([-1.0, 0.0])}
    features = np.array([[2.0, 2.0], [0.0, 0.0], [0.0, 7.0], [4.0, 3.0]])
    columns = ClipScore().score(DrawnImages(SAMPLES, features, Evidence(None, texts)))
    assert columns == {"clip-score": [pytest.approx(100 / np.sqrt(2)), None, pytest.approx(100), pytest.approx(-80)]}
    with pytest.raises(PrefbenchError, match="no text features for 1 prompt, such as '30'"):
        ClipScore().score(DrawnImages(SAMPLES, features, Evidence(None, {"10": texts["10"], "0": texts["0"]})))
    for missing in (None, features[:2]):
        with pytest.raises(PrefbenchError, match="one feature row per sample"):
            ClipScore().score(DrawnImages(SAMPLES, missing, Evidence(None, texts)))


@pytest.mark.parametrize("name", ["fid", "kid", "clip-score", "utility", "prompt-fidelity"])
def test_cards_agree_with_the_registry(name: str) -> None:
    metric: Metric = registry.load("metric", name)()
    assert metric.card.name == name
    assert metric.card.unit == ("image" if isinstance(metric, ImageMetric) else "set")
    assert metric.card.recipe in metric.card.id


@pytest.mark.parametrize(
    ("metric", "exact"),
    [
        (KernelInceptionDistance(), True),
        (ClipDistance(), True),
        (GaussianDistance(), False),
        (Density(), True),
        (Coverage(), True),
    ],
)
def test_leaving_out_groups_is_comparing_without_them(metric: SetMetric, exact: bool) -> None:
    """By groups of users on both sides, but for a kernel that goes by all references; and on the drawn side alone."""
    rng = np.random.default_rng(0)
    users, owners = (np.array([f"u{i}" for i in rng.integers(0, high, n)]) for high, n in ((7, 60), (9, 50)))
    prompts, others = (np.array([f"p{i}" for i in rng.integers(0, high, n)]) for high, n in ((5, 60), (8, 50)))
    drawn = FeatureSet(rng.standard_normal((60, 6)) + 0.3, users, prompts)
    reference = FeatureSet(rng.standard_normal((50, 6)), owners, others)
    of_drawn, of_reference = (np.array([int(name[1:]) % 4 - 1 for name in names]) for names in (users, owners))
    for places in ((of_drawn, of_reference), (of_drawn, np.full(50, -1))):
        found = metric.resampling.leave_one_out(drawn, reference, *places)
        anew = Resampling(metric).leave_one_out(drawn, reference, *places)
        assert len(found) == 3
        same_width = exact or places[1].max() < 0
        assert found == pytest.approx(anew, rel=0 if same_width else 0.1, abs=1e-9)


@pytest.mark.parametrize("metric", [KernelInceptionDistance(), GaussianDistance()])
def test_leaving_out_what_all_pairs_need_is_refused(metric: SetMetric) -> None:
    """Without its only shared prompt one user is left; as comparing anew refuses it."""
    users, prompts = np.array(["a", "a", "a", "b", "c"]), np.array(["x", "y", "z", "x", "x"])
    features = np.random.default_rng(0).standard_normal((5, 3))
    drawn, groups = FeatureSet(features, users, prompts), np.array([0, 1, 2, 0, 0])
    for way in (metric.resampling, Resampling(metric)):
        with pytest.raises(NotMeasurableError):
            way.leave_one_out(drawn, FeatureSet(features + 1, users, prompts), groups, np.full(5, -1))


@pytest.mark.parametrize("metric", [FrechetDistance(), KernelInceptionDistance()])
def test_exchanged_users_are_those_of_a_new_comparison(metric: SetMetric) -> None:
    """Users of unequal numbers of images; references of the same users, of others, and of not all of them."""
    rng = np.random.default_rng(0)
    users, prompts = np.array([f"u{i % 7 % 5}" for i in range(40)]), np.array([f"p{i % 3}" for i in range(40)])
    first, second = (FeatureSet(rng.standard_normal((40, 6)) + shift, users, prompts) for shift in (0.0, 0.3))
    owners = np.array([f"u{i % 9}" for i in range(30)])
    reference = FeatureSet(rng.standard_normal((30, 6)), owners, np.array([f"p{i % 4}" for i in range(30)]))
    reference = reference.select(owners != "u2")
    found, again = (
        way.permuted_difference(first, second, reference) for way in (metric.resampling, Resampling(metric))
    )
    for marked in rng.random((8, 5)) < 0.5:
        swapped = marked[np.unique(users, return_inverse=True)[1]][:, None]
        own, other = (np.where(swapped, b.features, a.features) for a, b in ((first, second), (second, first)))
        values = [metric.compare(FeatureSet(f, users, prompts), reference) for f in (own, other)]
        assert found(marked) == pytest.approx(values[0] - values[1], abs=1e-9)
        assert again(marked) == pytest.approx(found(marked), abs=1e-9)
