"""The one way to score a run folder: metrics on its images, then the summary that everything else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefbench.api import Suite
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import suite_of_run
from prefbench.score.evaluator import Evaluator, Scoring
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary


@dataclass(frozen=True)
class ScoreResult:
    """A run whose summary is stored, and what this call scored of it."""

    run: ScoredFolder
    scoring: Scoring


def score_run(folder: Path | RunFolder, metrics: Sequence[str] = (), suite: Suite | str | None = None) -> ScoreResult:
    """Scores what a run folder lacks, then computes and stores its summary; holds the folder's lock meanwhile.

    Args:
        folder: of the run.
        metrics: registered names or `path/to/file.py:Class`; by default those that the suite's card names.
        suite: a loaded suite, or the name that the user gave it (needed where it is a file's class); by default the
            registered suite in the run's description.

    Raises:
        PrefbenchError: the folder holds no run or no drawn sample, the suite is not the run's, an image is damaged, a
            metric lacks what it needs.
    """
    run = ScoredFolder.open(folder.path if isinstance(folder, RunFolder) else folder)
    loaded = suite_of_run(run.spec, suite) if suite is None or isinstance(suite, str) else suite
    evaluator = Evaluator(loaded, metrics or loaded.card.metrics)
    with run.folder.locked():
        scoring = evaluator.score(Material(run.folder, loaded, run.spec["split"]))
        scored = ScoredFolder.open(run.path)
        store_summary(scored)
    return ScoreResult(ScoredFolder.open(run.path), scoring)
