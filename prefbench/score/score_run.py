"""The one way to score a run folder: metrics on its images, then the summary that everything else reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefbench.api import NotMeasurableError, PrefbenchError, Suite
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


def score_run(
    folder: Path | RunFolder,
    metrics: Sequence[str] = (),
    suite: Suite | str | None = None,
    evaluator_of: Callable[[Suite, Sequence[str]], Evaluator] = Evaluator,
) -> ScoreResult:
    """Scores what a run folder lacks, then computes and stores its summary; holds the folder's lock meanwhile.

    Args:
        folder: of the run.
        metrics: registered names or `path/to/file.py:Class`; by default those that the suite's card names.
        suite: a loaded suite, or the name that the user gave it (needed where it is a file's class); by default the
            registered suite in the run's description.
        evaluator_of: makes what scores, of the suite and the metrics.

    Raises:
        NotMeasurableError: the run offers too little for every metric that was asked for.
        PrefbenchError: the folder holds no run or no drawn sample, the suite is not the run's, or no metric that was
            asked for can be scored; the line holds their reasons.
    """
    run = ScoredFolder.open(folder.path if isinstance(folder, RunFolder) else folder)
    loaded = suite_of_run(run.spec, suite) if suite is None or isinstance(suite, str) else suite
    if not (metrics or loaded.card.metrics):
        raise PrefbenchError(f"the suite {loaded.card.name} names no metrics; name some with --metrics")
    evaluator = evaluator_of(loaded, metrics or loaded.card.metrics)
    with run.folder.locked():
        # By its full path: a metric may go elsewhere while it asks for features that are stored here.
        scoring = evaluator.score(Material(RunFolder(run.path.absolute()), loaded, run.spec["split"]))
        if run.folder.scored():
            store_summary(ScoredFolder.open(run.path))
    _check_something(scoring, list(evaluator.metrics), any_scored=bool(run.folder.scored()))
    return ScoreResult(ScoredFolder.open(run.path), scoring)


def _check_something(scoring: Scoring, asked: Sequence[str], *, any_scored: bool) -> None:
    """Raises where nothing that was asked for has scores: then the reasons are all there is to say."""
    if not asked and not any_scored:
        raise PrefbenchError("the suite's card names no metrics: name some")
    unmet = {**scoring.refused, **scoring.broken, **({} if any_scored else scoring.idle)}
    if asked and set(asked) <= unmet.keys():
        lines = dict.fromkeys(text if name in text else f"{name}: {text}" for name, text in unmet.items())
        kind = PrefbenchError if scoring.broken else NotMeasurableError
        raise kind("; ".join(lines))
