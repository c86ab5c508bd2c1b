"""How a method's utility rises with the size of the history, with intervals: a table, a JSON file and a figure.

    python benchmarks/history_size.py --method inferred --sizes 1,2,4,8,16

Each size is a run of its own under --out; a run that is there already is not drawn again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prefbench.files import write_atomic
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.execute import execute
from prefbench.run.prepare import Settings, prepare
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats.means import mean_interval


@click.command()
@click.option("--method", default="inferred", show_default=True)
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE")
@click.option("--sizes", default="1,2,4,8,16", show_default=True, help="Judgments a side.")
@click.option("--users", type=int, help="Only the first so many users.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/history"), show_default=True)
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON and beside it the figure.")
def main(
    method: str, parameters: tuple[str, ...], sizes: str, users: int | None, out: Path, result: Path | None
) -> None:
    """Prints the mean utility of a method for each size of the history."""
    rows = []
    for size in map(int, sizes.split(",")):
        row = _measure(
            Settings(method, parameters=parameters, suite_parameters=[f"history={size}"], users=users, out=out)
        )
        rows.append({"history": size, **row})
        click.echo(
            f"{size:3d} a side  utility {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]  n {row['n_users']}"
        )
    if result is not None:
        content = {"method": method, "rows": rows, "code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(result, json.dumps(content, indent=1) + "\n")
        _draw(method, rows, result.with_suffix(".png"))


def _measure(settings: Settings) -> dict[str, Any]:
    prepared = prepare(settings)
    execute(prepared)
    Evaluator(prepared.suite, ["utility"]).score(Material(prepared.folder, prepared.suite, prepared.spec.split))
    return asdict(mean_interval(ScoredFolder.open(prepared.folder.path).columns()["utility"].scores))


def _draw(method: str, rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    x, y = [row["history"] for row in rows], [row["value"] for row in rows]
    reach = [[row["value"] - row["low"] for row in rows], [row["high"] - row["value"] for row in rows]]
    axes.errorbar(x, y, yerr=reach, marker="o", capsize=3)
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [str(size) for size in x])
    axes.set(xlabel="likes and dislikes a user, a side", ylabel="utility, mean and 95 % interval", title=method)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
