"""What a run's numbers are once its pictures are moved by a pixel, or stored as JPEG: a real picture keeps them.

Numbers that were bought from an instrument with noise that nobody sees fall with the noise.
"""

from __future__ import annotations

import io
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from prefbench.api import Sample, colour_spread, counted, to_pixels
from prefbench.check.findings import Row, fail, skip, warn
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.score_files import read_columns

from .audited_run import AuditedRun

LIMIT = 0.12
"""The share of its range that a metric may lose."""
RANGES: Mapping[str, float | None] = {"utility": 1.0, "preference": 1.0, "prompt-fidelity": 1.0, "clip-score": None}
"""From nothing to all: of utility from the prior's mean to the best, of the others a probability. Of `clip-score` it is
what pictures lose that are measured with another case's prompt."""
_LEAST_RANGE = 5.0
"""The least range of `clip-score`: pictures that show no prompt, such as copies, have none to lose."""
_LOOKED_AT = 200
"""Pictures of a run that are looked at."""
AS_IS, EXCHANGED = "as it is", "another prompt"


def moved(image: Image.Image) -> list[Image.Image]:
    """The picture one pixel to the right, left, down and up; the row or column that is bared repeats its neighbour."""
    padded = np.pad(to_pixels(image), ((1, 1), (1, 1), (0, 0)), mode="edge")
    return [Image.fromarray(np.roll(padded, step, (0, 1))[1:-1, 1:-1]) for step in ((0, 1), (0, -1), (1, 0), (-1, 0))]


def compressed(image: Image.Image) -> list[Image.Image]:
    """The picture as a JPEG of quality 75 holds it."""
    stream = io.BytesIO()
    image.convert("RGB").save(stream, format="JPEG", quality=75)
    return [Image.open(stream).convert("RGB")]


CHANGES: Mapping[str, Callable[[Image.Image], list[Image.Image]]] = {
    "moved by a pixel": moved,
    "as JPEG 75": compressed,
}
"""Each to one picture or several, whose mean counts."""


@dataclass(frozen=True)
class Loss:
    """What one metric loses by one change."""

    metric: str
    change: str
    before: float
    after: float
    range: float

    @property
    def share(self) -> float:
        """Of the range; more than 0 where the number falls."""
        return (self.before - self.after) / self.range

    def row(self) -> Row:
        """The loss as plain data."""
        told = {name: round(value, 4) for name, value in (("before", self.before), ("after", self.after))}
        return {"metric": self.metric, "change": self.change, **told, "lost": round(self.share, 4)}


def again(run: AuditedRun) -> str:
    """Utility, preference, fidelity and clip-score keep what they are worth under a change that nobody sees."""
    metrics = [name for name in RANGES if name in run.folder.scored()]
    if not metrics or not run.drawn:
        skip("there are no scores of " + ", ".join(RANGES))
    if run.spec.get("suite_digest") != run.suite.digest:
        skip("the suite is another than the run was drawn for")
    samples = chosen(run.drawn)
    with tempfile.TemporaryDirectory(prefix="prefbench-") as folder:
        means = _means(run, samples, metrics, RunFolder(Path(folder)))
    losses = [loss for name in metrics if name in means for loss in _losses(name, means[name])]
    told = "; ".join(f"{loss.metric} {loss.change} {loss.share:+.3f}" for loss in losses)
    measured = {loss.metric: f"; the range of {loss.metric} is {loss.range:.1f}" for loss in losses}
    ranges = "".join(text for name, text in measured.items() if RANGES[name] is None)
    detail = f"{counted(len(samples), 'image')}, lost of the range: {told}{ranges}"
    if great := [loss.row() for loss in losses if loss.share > LIMIT]:
        fail(f"{detail}; more than {LIMIT:g} says that an instrument was played", great)
    if absent := [name for name in metrics if name not in means]:
        warn(f"{detail}; {', '.join(absent)} could not be read again")
    without = [name for name in metrics if name not in {loss.metric for loss in losses}]
    return detail + (f"; {', '.join(without)} has no range here: other prompts score as high" if without else "")


def chosen(drawn: Sequence[Sample]) -> list[Sample]:
    """Some of all samples, drawn anew in every audit: nobody can know which pictures are looked at."""
    places = np.random.default_rng(secrets.randbits(64)).permutation(len(drawn))[:_LOOKED_AT]
    return [drawn[place] for place in sorted(places.tolist())]


def _means(
    run: AuditedRun, samples: Sequence[Sample], metrics: Sequence[str], folder: RunFolder
) -> dict[str, dict[str, float]]:
    """The mean of each metric by change; of one that cannot be scored nothing."""
    folder.write_description({name: run.description[name] for name in ("spec", "method", "kinds", "planned")})
    with run.bar("change images", len(samples), "img") as advance:
        index = count()  # each variant is a sample of its own of its user and prompt
        for sample in samples:
            variants = _variants(run, sample, _other_prompt(sample, samples), folder)
            folder.append_samples(replace(one, index=next(index)) for one in variants)
            advance(1)
    Evaluator(run.suite, metrics).score(Material(folder, run.suite, run.contents.split))
    places = {key: i for i, key in enumerate(folder.samples())}
    kinds = [key.rpartition("|")[2] for key in places]
    means: dict[str, dict[str, float]] = {}
    for name in set(metrics) & set(folder.scored()):
        values = read_columns(folder, name, places)[name]
        by_kind = {kind: values[[k == kind for k in kinds]] for kind in dict.fromkeys(kinds)}
        means[name] = {kind: float(np.nanmean(one)) for kind, one in by_kind.items() if not np.isnan(one).all()}
    return means


def _other_prompt(sample: Sample, samples: Sequence[Sample]) -> str:
    """The prompt of the next sample that has another."""
    place = samples.index(sample)
    others = (one.prompt for one in (*samples[place:], *samples[:place]) if one.prompt != sample.prompt)
    return next(others, sample.prompt)


def _variants(run: AuditedRun, sample: Sample, other: str, folder: RunFolder) -> list[Sample]:
    image = run.folder.image(sample.image or "")
    images = {AS_IS: [image], **{name: change(image) for name, change in CHANGES.items()}}
    rows = [_variant(sample, f"{i}|{name}", one, folder) for name, some in images.items() for i, one in enumerate(some)]
    return [*rows, replace(rows[0], key=f"{sample.key}|0|{EXCHANGED}", prompt=other)]


def _variant(sample: Sample, name: str, image: Image.Image, folder: RunFolder) -> Sample:
    digest, spread = folder.put_image(image), round(colour_spread(image), 6)
    return replace(sample, key=f"{sample.key}|{name}", image=digest, spread=spread)


def _losses(metric: str, means: Mapping[str, float]) -> list[Loss]:
    before, scale = means.get(AS_IS), RANGES[metric]
    if before is None:
        return []
    if scale is None:
        scale = before - means.get(EXCHANGED, before)
        if scale < _LEAST_RANGE:
            return []
    return [Loss(metric, name, before, means[name], scale) for name in CHANGES if name in means]
