"""Attacks: which metric each attacker fools, as committed JSON; a page and a figure rendered from it and nothing else.

`python -m prefbench.reports.attacks.measure RUN...` shows the table of scored runs, with `--publish` it writes it into
`results/attacks`; `--check` fails where a page there is not up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefbench.api import Estimate, MethodCard, PrefbenchError, ScoredRun, SummaryRow
from prefbench.cli.grids import show
from prefbench.environment import code_state, versions
from prefbench.files import write_atomic
from prefbench.registry import load, names
from prefbench.score.summary import Run
from prefbench.stats.tests import paired_difference

from ..shared.escape import slug
from ..shared.frame import GAP, UTILITY, is_control
from ..shared.paired import Columns, on_same_keys
from ..shared.published import portable
from ..table.compare import ComparedRow, Comparison, compare
from .table import draw, grid, render

FOLDER = Path(__file__).resolve().parents[2] / "results" / "attacks"
Result = dict[str, Any]
Verdict = Literal["beats", "ahead", "behind"]
"""An attacker against the best honest method: better beyond the interval, better within it, not better."""
_SETTINGS = (
    "suite", "suite_digest", "split", "backbone", "backbone_digest", "seed", "users", "samples_per_case", "steps",
    "guidance", "dtype",
)  # fmt: skip


def attacks(runs: Sequence[Run], *, date: str | None = None) -> Result:
    """Attackers against the best honest method, in every metric that the runs were scored with.

    Runs that are neither take no row: the frame, and methods under a control. With `prompt-only` and `inferred` among
    the runs the headline is gap-closed, else utility.

    Raises:
        PrefbenchError: no attacker or no honest method among the runs, an unfinished run, runs of other users than the
            first, and what `compare` refuses.
    """
    _check(runs)
    comparison = compare(runs)
    honest = [label for label, run in comparison.runs.items() if not is_control(run)]
    attackers = {label: how for label, run in comparison.runs.items() if (how := attack_of(run))}
    if not honest or not attackers:
        raise PrefbenchError("a table of attacks needs runs of attackers, such as copy, and of honest methods")
    shown = [name for name in comparison.metrics if "/" not in name]
    columns = {label: comparison.runs[label].columns() for label in (*honest, *attackers)}
    best = {name: found for name in shown if (found := _best(comparison, honest, name)) is not None}
    environment = {"code": code_state(), "versions": versions()}
    return {
        **{name: runs[0].spec[name] for name in _SETTINGS},
        "date": date or datetime.now(UTC).date().isoformat(),
        **environment,
        "headline": next((name for name in (GAP, UTILITY) if name in best), None),
        "metrics": {name: _metric(comparison, row) for name, row in best.items()},
        "best": {name: {"method": _label(comparison, row), **_numbers(row)} for name, row in best.items()},
        "honest": honest,
        "attackers": [
            {
                "method": label,
                "attack": how,
                "command": portable(comparison.runs[label].description["command"]),
                "cells": {name: _cell(comparison, columns, label, row) for name, row in best.items()},
            }
            for label, how in attackers.items()
        ],
    }


def attack_of(run: ScoredRun) -> str:
    """How the run's method attacks, and what it picks by; empty for what is no attack.

    Runs that were made before cards said so are taken by the card of the registered method.
    """
    card = run.description["method"]
    how: str | None = card.get("attack")
    if how is None and run.spec["method"] in names("method"):
        registered: MethodCard = load("method", run.spec["method"]).card
        how = registered.attack
    if not how or run.control is not None:
        return ""
    picked = ", ".join(card.get("selected_by", ()))
    return f"{how}, picked by {picked}" if picked else how


def publish(result: Result, folder: Path = FOLDER) -> list[Path]:
    """Writes the figure, the data and the page, in one folder under one name; returns their paths."""
    paths = [folder / f"{stem_of(result)}.{kind}" for kind in ("png", "json", "md")]
    folder.mkdir(parents=True, exist_ok=True)
    draw(result, paths[0])
    write_atomic(paths[1], json.dumps(result, indent=1, allow_nan=False) + "\n")
    write_atomic(paths[2], render(result, stem_of(result)))
    return paths


def stem_of(result: Result) -> str:
    """The name of a result's files: one suite, split and backbone."""
    return ".".join(slug(str(result[key])) for key in ("suite", "split", "backbone"))


def load_results(folder: Path = FOLDER) -> list[Result]:
    """Every committed result. Raises `PrefbenchError` naming the file that cannot be read."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            content: Result = json.loads(path.read_text(encoding="utf-8"))
            render(content, stem_of(content))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise PrefbenchError(f"{path} is no table of attacks ({type(error).__name__}: {error})") from error
        results.append(content)
    return results


def _check(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.undrawn:
            raise PrefbenchError(f"{run.folder.path} is unfinished ({run.undrawn} samples); run its command again")
        for name in ("users", "samples_per_case"):
            if run.spec[name] != runs[0].spec[name]:
                found = f"{runs[0].spec[name] or 'all'} and {run.spec[name] or 'all'}"
                raise PrefbenchError(f"these runs differ in {name}, {found}: attacks are compared on the same samples")


def _best(comparison: Comparison, honest: Sequence[str], metric: str) -> SummaryRow | None:
    """The best honest method's number."""
    rows = [row.summary for label in honest if (row := comparison.of(label).get(metric)) is not None]
    known = [row for row in rows if row.value is not None]
    return max(known, key=lambda row: (row.value or 0.0) * _sign(row), default=None)


def _label(comparison: Comparison, summary: SummaryRow) -> str:
    return next(row.label for row in comparison.rows if row.summary is summary)


def _cell(
    comparison: Comparison, columns: Mapping[str, Columns], label: str, best: SummaryRow
) -> dict[str, Any] | None:
    """An attacker's number, its paired difference to the best honest method, the verdict, and whom it stands above."""
    metric = best.metric
    row = comparison.of(label).get(metric)
    if row is None or row.summary.value is None:
        return None
    # The share of the gap is utility on another scale, the same for all: what orders the one orders the other.
    column, other = (UTILITY if metric == GAP else metric), _label(comparison, best)
    difference = None
    if column in columns[label] and column in columns[other]:
        pair = on_same_keys(columns[label][column].scores, columns[other][column].scores)
        difference = paired_difference(*pair).estimate
    return {
        **_numbers(row.summary),
        "difference": None if difference is None else {"of": column, **asdict(difference)},
        "verdict": verdict(row.summary, best, difference),
        "above": [
            honest
            for honest in columns
            if not is_control(comparison.runs[honest]) and _is_above(row.summary, comparison.of(honest).get(metric))
        ],
    }


def _is_above(attacker: SummaryRow, honest: ComparedRow | None) -> bool:
    if honest is None or honest.summary.value is None or attacker.value is None:
        return False
    return _sign(attacker) * (attacker.value - honest.summary.value) > 0


def verdict(attacker: SummaryRow, best: SummaryRow, difference: Estimate | None) -> Verdict:
    """`beats` where the paired difference's interval lies on the better side of 0; without one, as for metrics over
    sets, where the two intervals do not meet.
    """
    sign = _sign(best)
    assert attacker.value is not None
    assert best.value is not None
    if sign * (attacker.value - best.value) <= 0:
        return "behind"
    if difference is not None:
        bounds = (difference.low, difference.high)
        return "beats" if None not in bounds and min(sign * b for b in bounds if b is not None) > 0 else "ahead"
    if attacker.low is None or attacker.high is None or best.low is None or best.high is None:
        return "ahead"
    apart = attacker.low > best.high if sign > 0 else attacker.high < best.low
    return "beats" if apart else "ahead"


def _sign(row: SummaryRow) -> int:
    return 1 if row.direction == "up" else -1


def _numbers(row: SummaryRow) -> dict[str, Any]:
    kept = ("value", "low", "high", "n_users", "n_prompts", "n_samples", "missing")
    return {name: getattr(row, name) for name in kept}


def _metric(comparison: Comparison, row: SummaryRow) -> dict[str, Any]:
    recipes = comparison.runs[_label(comparison, row)].recipes()
    return {
        "direction": row.direction,
        "question": row.question,
        "won_by": list(row.won_by),
        "recipe": recipes.get(UTILITY if row.metric == GAP else row.metric),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Shows or publishes the table of runs, or compares the committed pages; 1 where one is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m prefbench.reports.attacks.measure", description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="scored runs of attackers and of honest methods")
    parser.add_argument("--publish", action="store_true", help="write JSON, page and figure")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is not up to date")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    try:
        if options.runs:
            _shown([Run.open(path) for path in options.runs], options.folder if options.publish else None)
        stale = [name for result in load_results(options.folder) for name in _stale(result, options.folder)]
    except PrefbenchError as error:
        sys.stderr.write(f"prefbench: {error}\n")
        return 2
    if options.check and stale:
        sys.stderr.write(f"{', '.join(stale)} not up to date: publish the runs again\n")
        return 1
    return 0


def _shown(runs: Sequence[Run], folder: Path | None) -> None:
    result = attacks(runs)
    show([grid(result)])
    for path in publish(result, folder) if folder is not None else ():
        sys.stderr.write(f"written   {path}\n")


def _stale(result: Result, folder: Path) -> list[str]:
    page, figure = (folder / f"{stem_of(result)}.{kind}" for kind in ("md", "png"))
    is_new = page.is_file() and page.read_text(encoding="utf-8") == render(result, stem_of(result))
    return [path.name for path, fine in ((page, is_new), (figure, figure.is_file())) if not fine]


if __name__ == "__main__":
    raise SystemExit(main())
