"""The systems of one validation, drawn and scored: what every part of it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prefbench.api import (
    Features,
    FeatureSet,
    ImageMetric,
    MetricCard,
    Picture,
    Pixels,
    PrefbenchError,
    Scores,
    SetMetric,
    Suite,
)
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder

from .settings import ValidationSize
from .systems import System, Systems

UTILITY = "utility"
"""The metric that reports the known truth: what all others are compared with."""
LIKED = "utility/liked"
"""The true probability that a picture is liked as an answer to its prompt, which utility does not look at."""


@dataclass(frozen=True)
class MeasuredSystems:
    """Every system drawn and scored, and the metrics that it was scored with.

    Samples lie in the order of users, cases and samples; features come from the evaluator that scored them.
    """

    suite: Suite
    size: ValidationSize
    systems: Systems
    runs: Mapping[System, ScoredFolder]
    evaluator: Evaluator
    """Holds the metrics that can be computed here."""
    left_out: Mapping[str, str]
    """Metrics that cannot be computed here, with the reason."""
    _sets: dict[tuple[str, System], FeatureSet] = field(default_factory=dict, repr=False)

    @property
    def cards(self) -> dict[str, MetricCard]:
        """The cards of the metrics, `utility` first."""
        metrics = self.evaluator.metrics
        return {name: metrics[name].card for name in sorted(metrics, key=lambda name: name != UTILITY)}

    @property
    def image_metrics(self) -> dict[str, ImageMetric]:
        """The per-image metrics, `utility` first."""
        metrics = self.evaluator.metrics
        return {name: metric for name in self.cards if isinstance(metric := metrics[name], ImageMetric)}

    @property
    def set_metrics(self) -> dict[str, SetMetric]:
        """The set-level metrics."""
        metrics = self.evaluator.metrics
        return {name: metric for name in self.cards if isinstance(metric := metrics[name], SetMetric)}

    def run(self, system: System) -> ScoredFolder:
        """The run folder of a system."""
        return self.runs[system]

    def scores(self, system: System, metric: str) -> Scores:
        """One value per sample of a per-image metric."""
        columns = self.runs[system].columns()
        if metric not in columns:
            raise PrefbenchError(f"{system.name} has no scores of {metric}: delete its folder and validate again")
        return columns[metric].scores

    def drawn(self, system: System, metric: SetMetric) -> FeatureSet:
        """The features of all pictures of a system, user by user, prompt by prompt."""
        role = metric.extractor
        if (role, system) not in self._sets:
            samples = self.runs[system].samples
            users, prompts = (np.array([getattr(sample, name) for sample in samples]) for name in ("user", "prompt"))
            features = FeatureSet(self.features(system, role), users, prompts)
            self._sets[role, system] = features.select(np.lexsort((prompts, users)))
        return self._sets[role, system]

    def references(self, system: System, metric: SetMetric) -> FeatureSet:
        """The features of the held-out likes of a system's users, user by user: the suite's reference pictures.

        The suite is asked for each user's history, since it would draw the references of a whole split.
        """
        owners = sorted({sample.user for sample in self.runs[system].samples})
        likes = [(user, judgment) for user in owners for judgment in self.suite.history(user, "scorer").liked]
        features = self.judged_features(system, metric.extractor, [judgment.picture for _, judgment in likes])
        users, prompts = np.array([user for user, _ in likes]), np.array([judgment.prompt for _, judgment in likes])
        return FeatureSet(features, users, prompts)

    def features(self, system: System, role: str) -> Features:
        """Features (N, D) of a system's pictures."""
        return self.evaluator.inputs.features(role, self.runs[system].samples, self._material(system))

    def judged_features(self, system: System, role: str, pictures: Sequence[Picture]) -> Features:
        """Features (N, D) of pictures that users judged, stored beside those of a system."""
        return self.evaluator.inputs.judged_features(role, self._material(system), pictures)

    def pixels(self, system: System) -> list[Pixels]:
        """A system's pictures."""
        return self._material(system).pixels([sample.image or "" for sample in self.runs[system].samples])

    def _material(self, system: System) -> Material:
        return Material(self.runs[system].folder, self.suite, system.split)

    @property
    def fingerprint(self) -> str:
        """Changes whenever any score, picture or setting does that the parts are computed from."""
        measured = {s.name: [run.recipes(), [sample.image for sample in run.samples]] for s, run in self.runs.items()}
        # The class had another name once; parts that were stored then are of the same size.
        size = repr(self.size).replace(type(self.size).__name__, "Scale")
        content = [measured, size, self.suite.digest]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
