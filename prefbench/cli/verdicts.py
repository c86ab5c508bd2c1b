"""What `prefbench audit`, `compare`, `power`, `validate` and `show scorer` tell, given back as plain data too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError, Scorer, Suite
from prefbench.cli.screen import Screen
from prefbench.environment import code_state, hardware, versions
from prefbench.files import write_atomic
from prefbench.registry import load, names
from prefbench.reports.audit import measure as audits
from prefbench.reports.audit.material import split_of
from prefbench.reports.audit.seen import Seen, collect
from prefbench.reports.contrasts import measure as contrasts
from prefbench.reports.contrasts.grids import contrast_grid, standings_grid
from prefbench.reports.leaderboard.publish import portable
from prefbench.reports.power import measure as pilots
from prefbench.reports.scorer.card import FIGURES, draw_reliability, scorer_grid
from prefbench.reports.table.compare import check_mix, label_runs
from prefbench.reports.validation import page
from prefbench.reports.validation.study import validate as measure
from prefbench.reports.validation.tables import required_grid
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import check_metrics, load_suite, recorded_suite, suite_of_run
from prefbench.score import scorer_figures, standing
from prefbench.score.summary import Run


def audit(screen: Screen, paths: Sequence[Path], *, named: str | None) -> list[dict[str, Any]]:
    """The findings of every run's audit, a mapping a run. `named` is what the user gave as the suite."""
    collected: dict[str, tuple[Suite, Seen]] = {}
    audited = []
    for path in screen.run_folders(paths):
        folder = RunFolder(path)
        spec = folder.read_description()["spec"]
        split = split_of(spec)
        data = json.dumps([spec.get("suite"), spec.get("suite_parameters"), split], sort_keys=True)
        if data not in collected:
            suite = recorded_suite(spec, named)
            with screen.status(f"look at the pictures of {suite.card.name}"):
                collected[data] = suite, collect(suite, split)
        findings = audits.audit(folder, *collected[data], report=screen.finding)
        screen.audited(path, findings)
        audited.append(
            {
                "run": path.name,
                "passed": all(finding.passed for finding in findings),
                "findings": [{**asdict(finding), "passed": finding.passed} for finding in findings],
            }
        )
    return audited


def compare(
    screen: Screen, paths: Sequence[Path], out: Path | None, *, named: str | None, command: str, **choices: Any
) -> dict[str, Any]:
    """Contrasts of runs and where they stand, with what they were made by; written to `out` where that is given.

    `named` is what the user gave as the suite; `choices` are those of `contrasts.contrast`.
    """
    runs = [Run.open(path) for path in screen.run_folders(paths)]
    with screen.status("compare"):
        found = contrasts.contrast(runs, lambda: suite_of_run(runs[0].spec, named), **choices)
    standings = [] if found.standings is None else [standings_grid(found, found.standings)]
    screen.grids([contrast_grid(found), *standings])
    screen.refused(found.refused)
    content = {"command": portable(command), **contrasts.as_json(found), "code": code_state()}
    content |= {"hardware": hardware(), "versions": versions()}
    if out is not None:
        write_atomic(out, json.dumps(content, indent=1) + "\n")
        screen.written(out)
    return content


def power(screen: Screen, paths: Sequence[Path], question: Mapping[str, Any], **choices: Any) -> dict[str, Any]:
    """What runs as pilots promise of a larger study; `choices` are those of `pilots.plan`."""
    found = pilots.plan([Run.open(path) for path in screen.run_folders(paths)], pilots.Question(**question), **choices)
    screen.grids([pilots.plan_grid(found)])
    return dict(pilots.as_json(found))


def scorer(screen: Screen, name: str, suite: str | None, plot: Path | None) -> dict[str, Any]:
    """A scorer's card with what was measured of it; measured first on `suite` where that is named.

    `plot` is where its reliability is drawn.
    """
    made: Scorer = load("scorer", name)()
    if suite is not None:
        with screen.status(f"measure {name} on {suite}"):
            standing.keep(made, scorer_figures.measure(made, load("suite", suite)()))
    figures, note = None, ""
    try:
        figures = standing.latest(made)
    except PrefbenchError as error:  # without weights there is still a card
        note = str(error)
    if figures is None and not note:
        note = f"not measured here: prefbench show scorer {name} --measure SUITE"
    content = {**asdict(made.card), **dict.fromkeys(FIGURES), "admitted": False, **(figures or {})}
    screen.grids([scorer_grid(content, note)])
    if plot is not None:
        screen.written(draw_reliability(content, plot))
    return content


def validate(
    screen: Screen, paths: Sequence[Path], out: Path, *, metrics: Sequence[str], suite: str, publish: bool, command: str
) -> dict[str, Any]:
    """Every metric, or those named, against the known truth of a suite and, where `paths` are given, on real runs.

    Writes the report into `out`, and among the package's data where it is to be published.

    Raises:
        PrefbenchError: runs that do not belong together or were drawn for another suite, and what `validate` raises.
    """
    check_metrics(metrics)
    made, _ = load_suite(suite)
    runs = [Run.open(path) for path in screen.run_folders(paths)]
    if runs:
        check_mix(runs)
        if runs[0].spec["suite_digest"] != made.digest:
            raise PrefbenchError(f"{runs[0].folder.path} was drawn for another suite than {suite}")
    labelled = dict(zip(label_runs(runs), runs, strict=True))
    found = {"command": command, **measure(made, out, metrics or names("metric"), runs=labelled, log=screen.said)}
    screen.grids([required_grid(found)])
    for path in [*page.write(found, out), *(page.publish(found) if publish else [])]:
        screen.written(path)
    return found
