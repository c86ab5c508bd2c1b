"""The grain of pictures: noise along an instrument's gradient is found, other noise of the same size is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from scipy import ndimage, stats

import prefbench
from prefbench.api import FloatArray, Sample, Truth
from prefbench.api.gradients import Slopes
from prefbench.check.findings import Finding
from prefbench.models.backbones.denoising import Denoiser
from prefbench.reports.audit.checks import audit
from prefbench.reports.audit.contents import SuiteContents, read_suite
from prefbench.reports.audit.grain import LIMIT, _followed, correlations
from prefbench.run.folder import RunFolder
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.world.axes import Scene
from prefbench.suites.picturebook.world.render import render
from tests.support.grey import Grey
from tests.support.peopled_suite import Light, PeopledSuite

RNG = np.random.default_rng(3)
PICTURES = RNG.uniform(40, 200, (6, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
PATTERN = RNG.choice([-1.0, 1.0], PICTURES.shape[1:])


def samples(n: int, users: int = 3) -> list[Sample]:
    return [
        Sample(key=f"{i}", user=f"test-{i % users}", case="c", prompt="a cat", index=0, seed=i, status="ok")
        for i in range(n)
    ]


def patterned(_: Sequence[Sample], pictures: FloatArray) -> Slopes:
    """Rewards one pattern of pixels."""
    return Slopes((pictures * PATTERN).mean((1, 2, 3)), np.broadcast_to(PATTERN, pictures.shape) / PATTERN.size)


class Median:
    """Takes off what stands alone."""

    side = 32

    def cleaned(self, pictures: FloatArray, steps: Sequence[int], seeds: Sequence[int]) -> FloatArray:  # noqa: ARG002
        cleaned: FloatArray = ndimage.median_filter(pictures, (1, 3, 3, 1))
        return cleaned

    def slopes_through(self, pictures: FloatArray, steps: Any, seeds: Any, slopes: Any) -> Slopes:  # noqa: ARG002
        said: Slopes = slopes(pictures)
        return said


def followed(pictures: FloatArray) -> FloatArray:
    denoiser = cast("Denoiser", Median())
    return correlations(samples(len(pictures)), pictures, denoiser, patterned, np.random.default_rng(0))


def test_noise_of_two_levels_along_the_gradient_is_found_and_the_same_noise_elsewhere_is_not() -> None:
    elsewhere = np.random.default_rng(9).permutation(PATTERN.ravel()).reshape(PATTERN.shape)
    assert followed(PICTURES + 2 * PATTERN).min() > 0.4
    assert followed(PICTURES - 2 * PATTERN).max() < -0.4
    assert np.abs(followed(PICTURES + 2 * elsewhere)).max() < 0.15
    np.testing.assert_array_equal(followed(np.full((2, 32, 32, 3), 90.0)), 0)


def test_the_interval_is_students_over_the_means_of_users() -> None:
    values = np.random.default_rng(1).normal(0.03, 0.02, 12)
    means = [values[i::3].mean() for i in range(3)]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    made = _followed("utility", samples(12), values)
    assert (made.mean, made.low, made.high) == pytest.approx((np.mean(means), expected.low, expected.high))


def test_the_shipped_denoiser_finds_the_readers_gradient_in_renderings_and_nothing_in_clean_ones() -> None:
    from prefbench.models.backbones.loader import load_backbone
    from prefbench.reports.audit.instruments import instruments

    suite = Picturebook()
    users = [user.id for user in suite.users("test")[:4]]
    clean = np.stack([render(Scene.of(object=i, palette=i % 6), i) for i in range(8)]).astype(np.float64)
    rows = [Sample(f"{i}", users[i % 4], "c", "a cat at sea", 0, i, "ok") for i in range(8)]
    utility = instruments(suite, ["utility"])["utility"]
    noisy = np.clip(np.rint(clean + 4 * np.sign(utility(rows, clean).gradients)), 0, 255)
    denoiser = Denoiser(load_backbone("mini-sd", device="cpu"))
    honest, played = (correlations(rows, x, denoiser, utility, np.random.default_rng(0)).mean() for x in (clean, noisy))
    assert played > honest + 0.1
    assert played > 2 * LIMIT


class Sloped(Light):
    """Says that light in some pixels counts for it and light in others against it."""

    def utility_slopes(self, user: str, prompts: Sequence[str], pictures: FloatArray) -> Slopes:  # noqa: ARG002
        return patterned((), pictures)


class SlopedSuite(PeopledSuite):
    card = PeopledSuite.card

    @property
    def truth(self) -> Truth:
        return Sloped()


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "outcome"), [("SlopedSuite", "ok"), ("PeopledSuite", "not applicable")])
def test_a_run_whose_instruments_give_no_gradients_is_not_judged(
    tmp_path: Path, tiny_sd: Path, suite: str, outcome: str
) -> None:
    chosen = {"SlopedSuite": SlopedSuite, "PeopledSuite": PeopledSuite}[suite]
    options: dict[str, Any] = {"suite": f"{__file__}:{suite}", "backbone": str(tiny_sd), "out": tmp_path}
    run = prefbench.run(Grey, device="cpu", steps=1, samples=1, **options)
    seen: SuiteContents = read_suite(chosen(), "test")
    finding: Finding = next(one for one in audit(RunFolder(run.path), chosen(), seen) if one.check == "grain")
    assert finding.outcome == outcome
    assert outcome != "ok" or "correlation of grain and gradient: utility " in finding.detail
