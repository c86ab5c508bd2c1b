"""Draws and scores systems by the path that every run takes, once, and hands out what was measured."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from prefbench.api import (
    Features,
    FeatureSet,
    ImageMetric,
    Metric,
    MetricCard,
    Picture,
    Pixels,
    PrefbenchError,
    Scores,
    SetMetric,
    Suite,
    to_pixels,
)
from prefbench.registry import load
from prefbench.run.folder import RunFolder
from prefbench.score.cache import FeatureCache
from prefbench.score.evaluate import Evaluator, Material
from prefbench.score.summary import Run

from .scale import Scale
from .systems import System, Systems, draw

UTILITY = "utility"
"""The metric that hands the truth on: what all others are held against."""
Said = Callable[[str], object]
"""Told what begins."""


@dataclass
class Bench:
    """The systems of one validation in their run folders. What is drawn and scored already is not made again."""

    suite: Suite
    folder: Path
    metrics: Sequence[str]
    scale: Scale
    said: Said = lambda _: None
    left_out: dict[str, str] = field(default_factory=dict)
    """Metrics that cannot be computed here, with the reason."""
    _runs: dict[System, Run] = field(default_factory=dict)
    _made: dict[str, Metric] = field(default_factory=dict)
    _given: dict[str, str] = field(default_factory=dict)
    """A metric's own name to the one that it was asked for by: of a file's class, its path."""
    _sets: dict[tuple[str, System], FeatureSet] = field(default_factory=dict)
    _caches: dict[tuple[str, Path], FeatureCache] = field(default_factory=dict)

    @cached_property
    def systems(self) -> Systems:
        return Systems.of(self.scale)

    def prepare(self) -> None:
        """Draws and scores everything.

        Raises:
            PrefbenchError: `utility` cannot be computed, or what `draw` raises.
        """
        found = self.systems
        self._admit(found.middle)
        evaluators = {pool: Evaluator(self.suite, self._names(pool=pool)) for pool in (False, True)}
        for i, system in enumerate(found.all, start=1):
            self.said(f"{i}/{len(found.all)} {system.name}")
            self._runs[system] = self._scored(system, evaluators[system.pool])
        for name in self.left_out:
            self._made.pop(name, None)

    def _names(self, *, pool: bool) -> list[str]:
        """Pools are cut into sets of many sizes later, so as a whole they are scored for metrics over images alone."""
        return [self._given[name] for name, card in self.cards.items() if card.unit == "image" or not pool]

    def _admit(self, system: System) -> None:
        """Loads every metric and tries it on one system."""
        folder = self._folder(system)
        with folder.locked():
            draw(system, self.suite, folder)
            for name in self.metrics:
                try:
                    made = load("metric", name)()
                    scoring = Evaluator(self.suite, [name]).score(self._material(system))
                except PrefbenchError as error:
                    self.left_out[name] = str(error)
                    continue
                self.left_out |= scoring.refused
                if not scoring.refused:
                    self._made[made.card.name], self._given[made.card.name] = made, name
        if UTILITY not in self._made:
            raise PrefbenchError(f"validating needs {UTILITY}: {self.left_out.get(UTILITY, 'it was not asked for')}")

    def _scored(self, system: System, evaluator: Evaluator) -> Run:
        folder, first = self._folder(system), self._folder(self.systems.middle)
        with folder.locked():
            if not (folder.path / "features").exists() and (first.path / "features").exists():
                # Features go by the pictures' digests, so those of the references serve every system.
                shutil.copytree(first.path / "features", folder.path / "features")
            draw(system, self.suite, folder)
            self.left_out |= evaluator.score(self._material(system)).refused
        return Run.open(folder.path)

    def with_all_metrics(self, runs: Mapping[str, Run]) -> dict[str, Run]:
        """Copies of real runs that are scored for every metric validated here; the runs stay as they are."""
        evaluator, copies = Evaluator(self.suite, self._names(pool=False)), {}
        for label, run in runs.items():
            self.said(f"score {label}")
            folder = self._copy(run)
            with folder.locked():
                evaluator.score(Material(folder, self.suite, run.spec["split"]))
            copies[label] = Run.open(folder.path)
        return copies

    def _copy(self, run: Run) -> RunFolder:
        """A run's folder among those of this validation, made anew where the run's samples are others than before."""
        own = run.folder.path
        place = hashlib.sha256(str(own.resolve()).encode()).hexdigest()[:8]
        folder = RunFolder(self.folder / "runs" / f"{own.name}-{place}")
        if folder.path.exists() and folder.samples() != run.folder.samples():
            shutil.rmtree(folder.path)
        shutil.copytree(own, folder.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("report", ".lock"))
        return folder

    def _folder(self, system: System) -> RunFolder:
        return RunFolder(self.folder / "systems" / system.name.replace(", ", "-").replace(" ", "-"))

    def _material(self, system: System) -> Material:
        return Material(self._folder(system), self.suite, system.split)

    # ---------------------------------------------------------------------------------------- what was measured

    @property
    def cards(self) -> dict[str, MetricCard]:
        """Of the metrics that can be computed; `utility` first."""
        names = sorted(self._made, key=lambda name: name != UTILITY)
        return {name: self._made[name].card for name in names}

    @property
    def over_images(self) -> dict[str, ImageMetric]:
        return {name: made for name in self.cards if isinstance(made := self._made[name], ImageMetric)}

    @property
    def over_sets(self) -> dict[str, SetMetric]:
        return {name: made for name in self.cards if isinstance(made := self._made[name], SetMetric)}

    def run(self, system: System) -> Run:
        return self._runs[system]

    def scores(self, system: System, metric: str) -> Scores:
        """One value a sample of a metric over images, in the order of users, cases and samples."""
        columns = self._columns(system)
        if metric not in columns:
            raise PrefbenchError(f"{system.name} has no scores of {metric}: delete its folder and validate again")
        return columns[metric]

    def _columns(self, system: System) -> Mapping[str, Scores]:
        if system not in self._tables:
            columns = self.run(system).columns()
            self._tables[system] = {name: columns[name].scores for name in self.over_images if name in columns}
        return self._tables[system]

    @cached_property
    def _tables(self) -> dict[System, Mapping[str, Scores]]:
        return {}

    def drawn(self, system: System, metric: SetMetric) -> FeatureSet:
        """The features of all pictures of a system, user by user, prompt by prompt."""
        role = metric.extractor
        if (role, system) not in self._sets:
            samples = self.run(system).samples
            users, prompts = (np.array([getattr(sample, name) for sample in samples]) for name in ("user", "prompt"))
            found = FeatureSet(self.features(system, role), users, prompts)
            self._sets[role, system] = found.select(np.lexsort((prompts, users)))
        return self._sets[role, system]

    def references(self, system: System, metric: SetMetric) -> FeatureSet:
        """The features of the likes of a system's users that no method sees, user by user: the suite's references.

        The suite is asked user by user, since it would draw the references of a whole split.
        """
        owners = sorted({sample.user for sample in self.run(system).samples})
        found = [(user, judgment) for user in owners for judgment in self.suite.history(user, "scorer").liked]
        features = self.judged(system, metric.extractor, [judgment.picture for _, judgment in found])
        users, prompts = np.array([user for user, _ in found]), np.array([judgment.prompt for _, judgment in found])
        return FeatureSet(features, users, prompts)

    def features(self, system: System, role: str) -> Features:
        """Features (N, D) of a system's pictures, in the order of users, cases and samples."""
        digests = [sample.image or "" for sample in self.run(system).samples]
        return self._cache(role, system).get(digests, self._material(system).pixels)

    def judged(self, system: System, role: str, pictures: Sequence[Picture]) -> Features:
        """Features (N, D) of pictures that users judged, kept beside those of a system."""
        by_digest = {picture.digest: picture for picture in pictures}

        def loaded(digests: Sequence[str]) -> list[Pixels]:
            return [to_pixels(by_digest[digest].load()) for digest in digests]

        return self._cache(role, system).get([picture.digest for picture in pictures], loaded)

    def pixels(self, system: System) -> list[Pixels]:
        """A system's pictures, in the order of users, cases and samples."""
        return self._material(system).pixels([sample.image or "" for sample in self.run(system).samples])

    def _cache(self, role: str, system: System) -> FeatureCache:
        path = self._folder(system).path
        if (role, path) not in self._caches:
            self._caches[role, path] = FeatureCache(path, load("extractor", self.suite.card.extractors[role])())
        return self._caches[role, path]

    @property
    def fingerprint(self) -> str:
        """Changes whenever any score does that the parts are made from."""
        held = {system.name: [run.recipes(), [s.image for s in run.samples]] for system, run in self._runs.items()}
        content = [held, repr(self.scale), self.suite.digest]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
