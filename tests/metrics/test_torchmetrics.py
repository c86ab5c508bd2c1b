"""`torchmetrics:NAME` against torchmetrics called by hand."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
import torchmetrics.image as image_metrics
import torchvision
from click.testing import CliRunner
from torch import nn

from prefbench.api import DrawnImages, FeatureSet, NotMeasurableError, Pixels, PrefbenchError, SetMetric
from prefbench.check.metric import check_metric
from prefbench.cli.main import main
from prefbench.metrics.fid import FrechetDistance
from prefbench.metrics.torchmetrics.names import OF_FEATURES, OF_IMAGES, image_classes, parameters_of, short_name
from prefbench.registry import families, load
from tests.support.judged import drawn, evidence, history, smooth

SCORER = {
    "ann": history("ann", [1, 2, 3], [90]),
    "ben": history("ben", [], [91]),
    "cem": history("cem", [21, 22]),
}
SAMPLES = [*drawn("ann", [smooth(51), smooth(1)]), *drawn("cem", [smooth(52)]), *drawn("ben", [smooth(53)])]
USABLE = (
    "ergas", "fid", "kid", "mifid", "ms-ssim", "psnr", "rase", "rmse-sw", "sam", "scc", "spectral-distortion-index",
    "ssim", "total-variation", "uqi", "vif",
)  # fmt: skip
"""Without weights."""
WITH_WEIGHTS = ("arniqa", "dists", "lpips")


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def metric(text: str) -> Any:
    return load("metric", f"torchmetrics:{text}")()


def tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(pixels, 2, 0).copy())[None].float() / 255


def likes_of(user: str) -> list[torch.Tensor]:
    return [tensor(np.asarray(judgment.picture.load())) for judgment in SCORER[user].liked]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


BY_HAND: dict[str, tuple[type[torchmetrics.Metric], dict[str, Any]]] = {
    "ssim": (image_metrics.StructuralSimilarityIndexMeasure, {"data_range": 1.0}),
    "ssim(kernel_size=5,sigma=2.0)": (
        image_metrics.StructuralSimilarityIndexMeasure,
        {"data_range": 1.0, "kernel_size": 5, "sigma": 2.0},
    ),
    "ms-ssim(betas=(0.5,0.5),kernel_size=3)": (
        image_metrics.MultiScaleStructuralSimilarityIndexMeasure,
        {"data_range": 1.0, "kernel_size": 3, "betas": (0.5, 0.5)},
    ),
    "uqi": (image_metrics.UniversalImageQualityIndex, {}),
    "vif": (image_metrics.VisualInformationFidelity, {}),
    "sam": (image_metrics.SpectralAngleMapper, {}),
    "rmse-sw": (image_metrics.RootMeanSquaredErrorUsingSlidingWindow, {}),
}


def called_by_hand(text: str, *images: torch.Tensor) -> float:
    """A new object each time: RMSE-SW keeps its map when it is reset."""
    kind, arguments = BY_HAND[text]
    return float(kind(**arguments)(*images))


@pytest.mark.parametrize("text", BY_HAND)
def test_values_are_those_of_torchmetrics_called_by_hand(text: str) -> None:
    """For every drawn image the mean over its user's likes, the best of them, and the mean over the next user's."""
    found = metric(text)
    name = found.card.name
    columns = found.score(DrawnImages(SAMPLES, None, evidence({"scorer": SCORER})))
    assert name == f"torchmetrics:{text}"
    assert list(columns) == [name, f"{name}/nearest", f"{name}/others"]
    best = max if found.card.direction == "up" else min
    for i, (user, following) in enumerate((("ann", "cem"), ("ann", "cem"), ("cem", "ann"))):
        own = [called_by_hand(text, tensor(SAMPLES[i].pixels), like) for like in likes_of(user)]
        others = [called_by_hand(text, tensor(SAMPLES[i].pixels), like) for like in likes_of(following)]
        expected = [mean(own), best(own), mean(others)]
        assert [columns[column][i] for column in columns] == pytest.approx(expected, rel=1e-4, abs=5e-5)
    assert [columns[column][3] is None for column in columns] == [True, True, False]  # ben liked nothing


def test_identical_images_have_no_finite_signal_to_noise_ratio() -> None:
    columns = metric("psnr").score(DrawnImages(SAMPLES, None, evidence({"scorer": SCORER})))
    reference = image_metrics.PeakSignalNoiseRatio(data_range=1.0)
    own = [float(reference(tensor(SAMPLES[0].pixels), like)) for like in likes_of("ann")]
    assert columns["torchmetrics:psnr"][0] == pytest.approx(mean(own), rel=1e-6)
    assert columns["torchmetrics:psnr"][1] is None  # a copy of what ann liked


def test_a_metric_of_the_drawn_image_alone_asks_for_no_history() -> None:
    found = metric("total-variation")
    assert found.card.asks_histories == ()
    assert found.card.unit == "image"
    values = found.score(DrawnImages(SAMPLES, None, evidence({})))["torchmetrics:total-variation"]
    expected = [float(image_metrics.TotalVariation()(tensor(sample.pixels))) for sample in SAMPLES]
    assert values == pytest.approx(expected, rel=1e-6)


def test_pictures_of_another_size_are_resized_to_the_drawn_image() -> None:
    samples = drawn("ann", [smooth(51, side=96)])
    value = metric("ssim").score(DrawnImages(samples, None, evidence({"scorer": SCORER})))["torchmetrics:ssim"][0]
    likes = [judgment.picture.load().resize((96, 96), 3) for judgment in SCORER["ann"].liked]
    own = [called_by_hand("ssim", tensor(samples[0].pixels), tensor(np.asarray(like))) for like in likes]
    assert value == pytest.approx(mean(own), rel=1e-5)


def feature_sets(n: int = 60, width: int = 8) -> tuple[FeatureSet, FeatureSet]:
    rng = np.random.default_rng(0)
    users, prompts = np.array([f"u{i % 7}" for i in range(n)]), np.full(n, "a prompt")
    first, second = (rng.standard_normal((n, width)) + shift for shift in (0.0, 0.4))
    return FeatureSet(first, users, prompts), FeatureSet(second, users, prompts)


class Passing(nn.Identity):
    num_features = 8


def by_hand(found: Any, first: FeatureSet, second: FeatureSet) -> Any:
    found.update(torch.from_numpy(second.features), real=True)
    found.update(torch.from_numpy(first.features), real=False)
    return found.compute()


def test_distances_of_sets_are_those_of_torchmetrics_on_the_suites_features() -> None:
    first, second = feature_sets()
    reference = float(by_hand(image_metrics.FrechetInceptionDistance(feature=Passing()), first, second))
    assert metric("fid").compare(first, second) == pytest.approx(reference, rel=1e-12)
    assert metric("fid").compare(first, second) == pytest.approx(FrechetDistance().compare(first, second), rel=1e-6)
    subsets = image_metrics.KernelInceptionDistance(feature=Passing(), subset_size=20, subsets=5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = float(by_hand(subsets, first, second)[0])
    state = torch.random.get_rng_state()
    assert metric("kid(subset_size=20,subsets=5)").compare(first, second) == pytest.approx(expected, rel=1e-12)
    assert torch.equal(state, torch.random.get_rng_state())


def test_too_few_samples_or_pixels_leave_the_metric_out() -> None:
    with pytest.raises(NotMeasurableError, match=r"kid fails: 60 drawn and 60 reference images: .*subset_size"):
        metric("kid").compare(*feature_sets())
    with pytest.raises(NotMeasurableError, match=r"ms-ssim cannot measure these images: .* larger than 160"):
        metric("ms-ssim").score(DrawnImages(SAMPLES, None, evidence({"scorer": SCORER})))


# What the card and the command line say


def test_the_command_line_lists_the_family_and_shows_its_members() -> None:
    listed = CliRunner().invoke(main, ["list", "metrics"])
    assert "torchmetrics:NAME" in listed.output
    shown = CliRunner().invoke(main, ["show", "metric", "torchmetrics:ssim(kernel_size=5)"])
    assert "kernel_size=5,return_contrast_sensitivity=False" in shown.output


def test_every_image_metric_of_torchmetrics_has_a_name() -> None:
    assert set(image_metrics.__all__) <= set(image_classes())
    assert set(USABLE) | set(WITH_WEIGHTS) <= {short_name(name) for name in image_classes()}
    assert list(families("metric")) == ["torchmetrics"]


def test_the_recipe_holds_class_version_and_parameters() -> None:
    card = load("metric", "torchmetrics:ssim(sigma=2.0, kernel_size=5)").card
    assert card.name == "torchmetrics:ssim(kernel_size=5,sigma=2.0)"
    assert card.version == torchmetrics.__version__
    assert card.recipe.startswith("StructuralSimilarityIndexMeasure,data_range=1.0,gaussian_kernel=True,k1=0.01")
    assert {"kernel_size=5", "sigma=2.0", "mean-over-held-out-likes"} <= set(card.recipe.split(","))
    assert load("metric", card.name).card == card


@pytest.mark.parametrize("short", USABLE)
def test_direction_is_that_of_equal_images_against_noise(short: str) -> None:
    """torchmetrics' own word is wrong for one class: see `family`."""
    found = metric(short) if short != "kid" else metric("kid(subset_size=60,subsets=1)")
    if isinstance(found, SetMetric):
        first, second = feature_sets()
        equal, different = found.compare(first, first), found.compare(first, second)
    elif short == "total-variation":
        equal, different = 0.0, metric(short).values(tensor(smooth(1)))[0]
    else:
        picture = tensor(smooth(1, side=192))
        noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
        near = 0.99 * picture + 0.01 * noise
        equal, different = found.values(picture, near)[0], found.values(picture, noise)[0]
    assert found.card.direction == ("up" if equal > different else "down")


def test_torchmetrics_ends_of_axes_are_no_bounds() -> None:
    picture = tensor(smooth(1))
    assert image_metrics.StructuralSimilarityIndexMeasure.plot_lower_bound == 0.0
    assert metric("ssim").values(picture, 1 - picture)[0] < 0
    assert load("metric", "torchmetrics:ssim").card.bounds == (None, None)


@pytest.mark.parametrize("text", ["ssim", "total-variation", "fid", "kid(subset_size=60,subsets=1)"])
@pytest.mark.slow
def test_metrics_of_the_family_pass_the_conformance_suite(text: str) -> None:
    findings = check_metric(f"torchmetrics:{text}")
    assert [finding for finding in findings if finding.outcome != "ok"] == []


# Mistakes and weights

MISTAKES = {
    "ssmi": r"unknown metric of torchmetrics 'ssmi'; did you mean 'ssim'\? \(known: arniqa, dists, ",
    "ssim(kernel_sise=5)": r"unknown parameter of torchmetrics:ssim 'kernel_sise'; did you mean 'kernel_size'\?",
    "ssim(reduction=sum)": "unknown parameter of torchmetrics:ssim 'reduction'",
    "ssim(kernel_size=five)": "parameter kernel_size of torchmetrics:ssim cannot be 'five'",
    "ssim(kernel_size=4)": "odd positive number",
    "ssim(return_full_image=True)": "it gives more than one value",
    "SSIM": r"unknown metric of torchmetrics 'SSIM'; did you mean 'ssim'\?",
    "StructuralSimilarityIndexMeasure": r"unknown metric .*; did you mean 'ssim'\?",
    "frechetInceptionDistance": r"unknown metric .*; did you mean 'fid'\?",
    "psnr(base=0)": r"psnr\(base=0\) means nothing with these arguments: it gives 0 for a near copy of an image and 0 ",
    "psnr(base=1)": "it gives inf for a near copy of an image and inf for an unrelated one",
    "psnr(base=0.5)": "it gives -158.753 for a near copy of an image and -25.876 for an unrelated one",
    "psnr(data_range=0)": "means nothing with these arguments",
    "vif(sigma_n_sq=0)": "means nothing with these arguments",
    "ssim(5)": r"arguments read as in ssim\(sigma=2.0\)",
    "ssim(kernel_size=5": "arguments read as in",
    "ssim(kernel_size=open('x'))": "arguments read as in",
    "lpips(net_type='../x')": "arguments read as in",
    "fid(feature=64)": "unknown parameter of torchmetrics:fid 'feature'",
    "kid(subsets=0)": "expected to be integer larger than 0",
    "psnrb": "grayscale",
    "inception-score": "cannot score a run: it needs class probabilities",
    "perceptual-path-length": "cannot score a run: it needs generator",
    "quality-with-no-reference": "cannot score a run: it needs preds and target",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_one_line_before_anything_is_scored(text: str) -> None:
    with pytest.raises(PrefbenchError, match=MISTAKES[text]) as caught:
        metric(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("class_name", image_classes())
def test_parameters_read_from_the_source_are_those_of_the_class(class_name: str) -> None:
    module = importlib.import_module(f"torchmetrics.image.{image_classes()[class_name]}")
    own = inspect.signature(getattr(module, class_name).__init__).parameters.values()
    every = [one.name for one in own if one.kind is not one.VAR_KEYWORD and one.name != "self"]
    assert set(parameters_of(class_name)) == set(every) - set(OF_FEATURES if "feature" in every else OF_IMAGES)


def test_a_wrong_name_is_told_without_torch() -> None:
    script = (
        "import sys\nfrom prefbench.registry import load\n"
        "try:\n    load('metric', 'torchmetrics:ssmi')\nexcept Exception as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("unknown metric of torchmetrics 'ssmi'")
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("short", WITH_WEIGHTS)
@pytest.mark.slow
def test_absent_weights_are_refused_with_the_command_that_gets_them(
    short: str, no_weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PrefbenchError, match=rf"^torchmetrics:{short} needs weights .*: curl -fL ") as caught:
        metric(short)
    command = str(caught.value).rpartition(": curl")[2]
    assert str(no_weights) in command
    assert "https://" in command
    assert list(no_weights.glob("*")) == []
    assert capfd.readouterr() == ("", "")
    assert torch.hub.download_url_to_file.__module__ == "torch.hub"


@pytest.mark.slow
def test_local_weights_are_used_and_named_in_the_recipe(no_weights: Path) -> None:
    """SqueezeNet with random weights, 5 MB."""
    torch.manual_seed(0)
    no_weights.mkdir(parents=True)
    recipes = []
    for _ in range(2):
        torch.save(torchvision.models.squeezenet1_1().state_dict(), no_weights / "squeezenet1_1-b8a52dc0.pth")
        found = metric("lpips(net_type=squeeze)")
        recipes.append(found.card.recipe)
    reference = image_metrics.LearnedPerceptualImagePatchSimilarity(net_type="squeeze", normalize=True)
    column = found.score(DrawnImages(SAMPLES, None, evidence({"scorer": SCORER})))[found.card.name]
    own = [float(reference(tensor(SAMPLES[0].pixels), like)) for like in likes_of("ann")]
    assert column[0] == pytest.approx(mean(own), rel=1e-4)
    assert recipes[0].rpartition("=")[0] == recipes[1].rpartition("=")[0]
    assert recipes[0].rpartition("weights=")[2] != recipes[1].rpartition("weights=")[2]
