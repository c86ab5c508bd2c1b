"""What a worker of a scoring does: it reads the run folder itself, extracts features and scores whole users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefbench.api import Evidence, ImageMetric, Picture, UserMetric
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import suite_of_run
from prefbench.score.evaluator import Evaluator
from prefbench.score.inputs import MetricInputs
from prefbench.score.material import Material
from prefbench.score.score_rows import ScoreRow


class _KeptInputs(MetricInputs):
    """Inputs whose evidence is gathered once per metric: the folder does not change meanwhile."""

    _evidence: dict[str, Evidence]

    def evidence(self, metric: ImageMetric | UserMetric, material: Material) -> Evidence:
        kept = vars(self).setdefault("_evidence", {})
        if metric.card.name not in kept:
            kept[metric.card.name] = super().evidence(metric, material)
        return self._evidence[metric.card.name]


@dataclass
class _Work:
    evaluator: Evaluator
    material: Material


_work: list[_Work] = []


def set_up(path: Path, suite: str | None, metrics: Sequence[str]) -> None:
    """Opens a run folder that the driver holds; `suite` is the name that the user gave it."""
    folder = RunFolder(path)
    spec = folder.read_description()["spec"]
    loaded = suite_of_run(spec, suite)
    evaluator = Evaluator(loaded, metrics)
    evaluator.inputs = _KeptInputs(loaded)
    _work[:] = [_Work(evaluator, Material(folder, loaded, spec["split"]))]


def image_rows(metric: str, users: Sequence[str]) -> list[ScoreRow]:
    """The rows of a metric over images for whole users, in their order."""
    work = _work[0]
    named = work.evaluator.metrics[metric]
    assert isinstance(named, ImageMetric)
    return work.evaluator.image_rows(named, work.material, users)


def extract(role: str, pictures: Sequence[str] | Sequence[Picture]) -> None:
    """Stores features of drawn images, by their digests, or of pictures of the suite, in a shard of the folder."""
    inputs, material = _work[0].evaluator.inputs, _work[0].material
    if isinstance(pictures[0], Picture):
        inputs.judged_features(role, material, [one for one in pictures if isinstance(one, Picture)])
    else:
        inputs.features_of(role, [one for one in pictures if isinstance(one, str)], material)
