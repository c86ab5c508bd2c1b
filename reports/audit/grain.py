"""Whether the grain of a run's pictures follows the gradient of an instrument: the mark of noise that plays it.

The grain is what a denoiser takes off a picture. In an honest drawing it is chance to every instrument; noise that was
made to raise what an instrument says lies along its gradient, however little of it there is. Noise that was made to
pass the denoiser follows the gradient through the denoiser, so both gradients are looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import stats

from prefbench.api import FloatArray, Pixels, PrefbenchError, Sample, Suite, counted, to_pixels
from prefbench.check.findings import Row, fail, skip, warn

from .audited_run import AuditedRun
from .instruments import Instrument, instruments
from .reread import chosen

if TYPE_CHECKING:
    from prefbench.models.backbones.denoising import Denoiser

LIMIT = 0.025
"""The correlation of grain and gradient that the whole interval of a run's mean must lie above to fail it."""
STEPS = (30, 150)
"""Training steps of the denoiser whose noise is put on the pictures: of `mini-sd` 22 to 57 levels of 255."""
DRAWS = 3
"""How often noise is put on a picture. Step and noise are drawn anew in every audit, so nobody can prepare for them."""
_BATCH = 50
_LEVEL = 0.95


@dataclass(frozen=True)
class Followed:
    """How far the grain of a run follows one instrument's gradient: the mean over users and its interval."""

    metric: str
    mean: float
    low: float
    high: float

    def row(self) -> Row:
        """The figures as plain data."""
        return {"metric": self.metric, **{name: round(getattr(self, name), 4) for name in ("mean", "low", "high")}}

    def __str__(self) -> str:
        return f"{self.metric} {self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def along(run: AuditedRun) -> str:
    """The grain of the pictures does not follow what raises utility, preference or clip-score."""
    if not run.drawn:
        skip("no image was drawn")
    if run.spec.get("suite_digest") != run.suite.digest:
        skip("the suite is another than the run was drawn for")
    offered = instruments(run.suite, run.folder.scored())
    if not offered:
        skip("no instrument behind the scores gives gradients")
    denoiser = _denoiser(run.suite)
    samples, pictures = _pictures(run, denoiser)
    if len({sample.user for sample in samples}) < 2:
        skip("fewer than two users have pictures")
    with run.bar("gradients", len(offered), "instrument") as advance:
        rng, followed = np.random.default_rng(secrets.randbits(64)), []
        for name, instrument in offered.items():
            followed.append(_followed(name, samples, correlations(samples, pictures, denoiser, instrument, rng)))
            advance(1)
    detail = f"{counted(len(samples), 'image')}, correlation of grain and gradient: {'; '.join(map(str, followed))}"
    if along_it := [one.row() for one in followed if one.low > LIMIT]:
        fail(f"{detail}; above {LIMIT:g} says that noise plays the instrument", along_it)
    if unsure := [one.row() for one in followed if one.mean > 2 * LIMIT]:
        warn(f"{detail}; above {2 * LIMIT:g}, of too few users to tell", unsure)
    return detail


def correlations(
    samples: Sequence[Sample],
    pictures: FloatArray,
    denoiser: Denoiser,
    instrument: Instrument,
    rng: np.random.Generator,
) -> FloatArray:
    """Sum of grain x sign of the gradient over the sum of |grain|, (N,) in -1 to 1.

    The mean of that for the gradient as it is and for the gradient through the denoiser.
    """
    parts = []
    for start in range(0, len(samples), _BATCH):
        some, x = samples[start : start + _BATCH], pictures[start : start + _BATCH]
        ask = partial(instrument, some)
        grain = x - np.mean([denoiser.cleaned(x, *_draw(rng, len(x))) for _ in range(DRAWS)], axis=0)
        grain -= grain.mean((1, 2), keepdims=True)  # a colour that is off as a whole is no grain
        through = denoiser.slopes_through(x, *_draw(rng, len(x)), ask)
        parts.append((_correlation(grain, ask(x).gradients) + _correlation(grain, through.gradients)) / 2)
    return np.concatenate(parts)


def _correlation(grain: FloatArray, gradient: FloatArray) -> FloatArray:
    sizes = np.abs(grain).sum((1, 2, 3))
    result: FloatArray = (grain * np.sign(gradient)).sum((1, 2, 3)) / np.maximum(sizes, 1e-300)
    return result


def _draw(rng: np.random.Generator, n: int) -> tuple[list[int], list[int]]:
    """Steps and seeds of the noise."""
    return rng.integers(STEPS[0], STEPS[1] + 1, n).tolist(), rng.integers(2**62, size=n).tolist()


def _followed(metric: str, samples: Sequence[Sample], values: FloatArray) -> Followed:
    users = np.array([sample.user for sample in samples])
    means = np.array([values[users == user].mean() for user in dict.fromkeys(users)])
    reach = float(stats.t.ppf((1 + _LEVEL) / 2, len(means) - 1) * means.std(ddof=1) / len(means) ** 0.5)
    mean = float(means.mean())
    return Followed(metric, mean, mean - reach, mean + reach)


def _denoiser(suite: Suite) -> Denoiser:
    """That of the suite's own backbone, whatever drew the run."""
    from prefbench.models.backbones.denoising import Denoiser
    from prefbench.models.backbones.loader import load_backbone

    try:
        return Denoiser(load_backbone(suite.card.backbone))
    except PrefbenchError as error:
        skip(f"no denoiser: {error}")


def _pictures(run: AuditedRun, denoiser: Denoiser) -> tuple[list[Sample], FloatArray]:
    """Some of the pictures, in the denoiser's size."""
    samples = chosen(run.drawn)
    pixels = [_sized(to_pixels(run.folder.image(sample.image or "")), denoiser.side) for sample in samples]
    return samples, np.stack(pixels).astype(np.float64)


def _sized(picture: Pixels, side: int) -> Pixels:
    """A picture as large as the denoiser draws, by the mean over the pixels that fall together."""
    if picture.shape[:2] == (side, side):
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))
