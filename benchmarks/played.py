"""How far metrics order runs as the truth does where some play them: over all runs, and over those that no audit fails.

    make attackers
    python -m benchmarks.played runs/slow-attackers/*-* --out benchmarks/results/played.json

The runs are scored and audited, of the same users. The truth is what is liked as an answer to its prompt
(`utility/liked`), and utility, which does not look at the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from prefbench.api import PrefbenchError
from prefbench.files import write_atomic
from prefbench.reports.shared.audited import stored_outcome
from prefbench.reports.validation.correlation import of_runs
from prefbench.reports.validation.settings import ValidationSize
from prefbench.run.environment import code_state, hardware, versions
from prefbench.score.scored_folder import ScoredFolder


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(runs: Sequence[Path], out: Path | None) -> None:
    """Prints Kendall's tau-b of every metric with the true probability of being liked, and with utility."""
    opened = {path.name: ScoredFolder.open(path) for path in runs}
    honest = {name: run for name, run in opened.items() if not has_failed(run)}
    content = {"all": ranked(opened), "not failed by an audit": ranked(honest)}
    for title, found in content.items():
        click.echo(f"{title}: {found['n']} runs of {found['users']} users")
        for metric, tau in found["liked"].items():
            click.echo(f"  {metric:16} {tau['value']:.2f} with what is liked, {found['utility'][metric]['value']:.2f}")
    about = {"code": code_state(), "hardware": hardware(), "versions": versions()}
    if out is not None:
        write_atomic(out, json.dumps({**content, **about}, indent=1) + "\n")


def has_failed(run: ScoredFolder) -> bool:
    """Whether the last audit of these samples failed. Raises `PrefbenchError` where there was none."""
    outcome = stored_outcome(run.path, run.samples)
    if outcome is None:
        raise PrefbenchError(f"{run.path} was not audited: prefbench audit {run.path}")
    return bool(outcome["failed"])


def ranked(runs: Mapping[str, ScoredFolder]) -> dict[str, Any]:
    """The tau-b of each metric that has one over these runs."""
    found, some = of_runs(runs, ValidationSize()), next(iter(runs.values()))
    metrics = [name for name, tau in found["tau_liked"].items() if tau["value"] is not None]
    by_truth = {"liked": found["tau_liked"], "utility": found["tau"]}
    taus = {truth: {name: of_metrics[name] for name in metrics} for truth, of_metrics in by_truth.items()}
    return {"n": len(runs), "users": len({sample.user for sample in some.samples}), **taus}


if __name__ == "__main__":
    main()
