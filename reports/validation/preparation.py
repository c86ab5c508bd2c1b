"""Draws and scores the systems of a validation, and scores real runs, by the path that every run takes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prefbench.api import MetricCard, PrefbenchError, ScoredRun, Suite
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder

from .drawing import draw_system
from .measured import UTILITY, MeasuredSystems
from .settings import ValidationSize
from .systems import System, Systems


@dataclass
class Preparation:
    """Works in a folder of its own, where what was drawn and scored before is not made again."""

    suite: Suite
    folder: Path
    metrics: Sequence[str]
    """Names as they were asked for: registered ones, or `path/to/file.py:Class`."""
    size: ValidationSize
    log: Callable[[str], object] = lambda _: None
    """Receives one line for each system and run that begins."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Metrics that cannot be computed here, with the reason."""
    _admitted: dict[str, tuple[str, MetricCard]] = field(default_factory=dict)
    """Name on a metric's card to the name that it was asked for by, and its card."""

    def systems(self) -> MeasuredSystems:
        """Draws and scores every system.

        Raises:
            PrefbenchError: `utility` cannot be computed, or what `draw_system` raises.
        """
        systems = Systems.of(self.size)
        self._admit(systems.middle)
        # Pools are cut into sets of many sizes later, so as a whole they are scored by per-image metrics alone.
        evaluators = {pool: Evaluator(self.suite, self._names(images_only=pool)) for pool in (False, True)}
        runs = {}
        for i, system in enumerate(systems.all, start=1):
            self.log(f"{i}/{len(systems.all)} {system.name}")
            runs[system] = self._scored(system, systems.middle, evaluators[system.pool])
        # A new evaluator, since the old ones hold the features of every system in memory.
        reader = Evaluator(self.suite, self._names())
        return MeasuredSystems(self.suite, self.size, systems, runs, reader, dict(self.left_out))

    def real_runs(self, runs: Mapping[str, ScoredRun]) -> dict[str, ScoredFolder]:
        """Copies of real runs that are scored by every admitted metric; the runs stay as they are."""
        evaluator, copies = Evaluator(self.suite, self._names()), {}
        for label, run in runs.items():
            self.log(f"score {label}")
            folder = self._copy(run)
            with folder.locked():
                evaluator.score(Material(folder, self.suite, run.spec["split"]))
            copies[label] = ScoredFolder.open(folder.path)
        return copies

    def _names(self, *, images_only: bool = False) -> list[str]:
        return [
            name
            for own, (name, card) in self._admitted.items()
            if own not in self.left_out and (card.unit == "image" or not images_only)
        ]

    def _admit(self, system: System) -> None:
        """Loads every metric and tries it on one system."""
        folder = self._folder(system)
        with folder.locked():
            draw_system(system, self.suite, folder)
            for name in self.metrics:
                try:
                    evaluator = Evaluator(self.suite, [name])
                    refused = self._unmet(evaluator, folder, system)
                except PrefbenchError as error:
                    self.left_out[name] = str(error)
                    continue
                self.left_out |= refused
                if not refused:
                    self._admitted |= {own: (name, metric.card) for own, metric in evaluator.metrics.items()}
        if UTILITY not in self._admitted:
            raise PrefbenchError(f"validating needs {UTILITY}: {self.left_out.get(UTILITY, 'it was not asked for')}")

    def _scored(self, system: System, first: System, evaluator: Evaluator) -> ScoredFolder:
        folder, features = self._folder(system), self._folder(first).path / "features"
        with folder.locked():
            if not (folder.path / "features").exists() and features.exists():
                # Features are stored by the pictures' digests, so those of the references serve every system.
                shutil.copytree(features, folder.path / "features")
            draw_system(system, self.suite, folder)
            self.left_out |= self._unmet(evaluator, folder, system)
        return ScoredFolder.open(folder.path)

    def _unmet(self, evaluator: Evaluator, folder: RunFolder, system: System) -> dict[str, str]:
        """Scores a system; the metrics that have no scores, with the reasons."""
        scoring = evaluator.score(Material(folder, self.suite, system.split))
        return {**scoring.refused, **scoring.broken}

    def _copy(self, run: ScoredRun) -> RunFolder:
        """The run's folder, copied; copied anew where the copy holds other samples than the run."""
        own = RunFolder(run.path)
        path_digest = hashlib.sha256(str(own.path.resolve()).encode()).hexdigest()[:8]
        copy = RunFolder(self.folder / "runs" / f"{own.path.name}-{path_digest}")
        if copy.path.exists() and copy.samples() != own.samples():
            shutil.rmtree(copy.path)
        shutil.copytree(own.path, copy.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("report", ".lock"))
        return copy

    def _folder(self, system: System) -> RunFolder:
        return RunFolder(self.folder / "systems" / system.name.replace(", ", "-").replace(" ", "-"))
