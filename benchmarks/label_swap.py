"""Differences between runs in metrics over sets, with p values by swapping labels user by user.

    python benchmarks/label_swap.py RUN BASELINE BASELINE ... --out benchmarks/results/fid-kid.json

The first run is held against each of the others: same users, same number of images each. The p values of one metric are
adjusted over the baselines (Holm). Distances are to the users' own liked images that no method sees.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prefbench.api import FeatureSet, PrefbenchError, SetMetric
from prefbench.environment import code_state, hardware, versions
from prefbench.execution import suite_of_run
from prefbench.paths import write_atomic
from prefbench.registry import load
from prefbench.reports.compare import compare
from prefbench.scoring import Material, Scorer
from prefbench.stats import holm, label_swap
from prefbench.summary import Run


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--metrics", default="fid,kid", show_default=True)
@click.option("--replicates", default=499, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(runs: tuple[Path, ...], metrics: str, replicates: int, out: Path | None) -> None:
    """Prints each metric of the first run, of each other, and their difference."""
    if len(runs) < 2:
        raise click.UsageError("name a run and at least one baseline")
    opened = [Run.open(path) for path in runs]
    compare(opened)  # refuses runs that do not belong into one table
    suite = suite_of_run(opened[0].spec)
    rows: list[dict[str, Any]] = []
    for name in metrics.split(","):
        metric: SetMetric = load("metric", name)()
        scorer = Scorer(suite, [name])
        own, *others = [_sets(scorer, metric, run) for run in opened]
        found = [_compared(metric, own[0], other[0], own[1], replicates) for other in others]
        for run, row, p in zip(opened[1:], found, holm([row["p"] for row in found]), strict=True):
            row |= {"metric": name, "method": _name(opened[0]), "baseline": _name(run), "p_holm": float(p)}
            rows.append(row)
            click.echo(
                f"{name:5s} {row['method']} {row['value']:.4f}  {row['baseline']} {row['other']:.4f}"
                f"  difference {row['difference']:+.4f}  p {row['p_holm']:.4f}"
            )
    if out is not None:
        content = {
            "replicates": replicates,
            "rows": rows,
            "code": code_state(),
            "hardware": hardware(),
            "versions": versions(),
        }
        write_atomic(out, json.dumps(content, indent=1) + "\n")


def _sets(scorer: Scorer, metric: SetMetric, run: Run) -> tuple[FeatureSet, FeatureSet, FeatureSet]:
    material = Material(run.folder, suite_of_run(run.spec), run.spec["split"])
    found = scorer.sets(metric, material)
    if len(found[0]) < len(material.drawn):
        raise PrefbenchError(f"{run.folder.path} drew {len(material.drawn)} images for {len(found[0])} references")
    return found


def _compared(
    metric: SetMetric, own: FeatureSet, other: FeatureSet, reference: FeatureSet, replicates: int
) -> dict[str, Any]:
    own, other = _by_user(own), _by_user(other)
    if not (np.array_equal(own.users, other.users) and np.array_equal(own.prompts, other.prompts)):
        raise PrefbenchError("the runs hold other users or prompts, or another number of images of each")
    users, rows = np.unique(own.users, return_inverse=True)

    def difference(swapped: NDArray[np.bool_]) -> float:
        exchanged = swapped[rows][:, None]
        first = np.where(exchanged, other.features, own.features)
        second = np.where(exchanged, own.features, other.features)
        a, b = (metric.compare(FeatureSet(f, own.users, own.prompts), reference) for f in (first, second))
        return a - b

    value, beside = metric.compare(own, reference), metric.compare(other, reference)
    return {
        "value": value,
        "other": beside,
        "difference": value - beside,
        "p": label_swap(len(users), difference, replicates=replicates),
        "n_users": len(users),
        "n_samples": len(own),
    }


def _by_user(drawn: FeatureSet) -> FeatureSet:
    order = np.lexsort((drawn.prompts, drawn.users))
    return FeatureSet(drawn.features[order], drawn.users[order], drawn.prompts[order])


def _name(run: Run) -> str:
    return " + ".join(part for part in (run.method, run.control) if part)


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"label_swap: {error}") from error
