"""The setting of each method that val users gain most by, one of six for every method.

    OMP_NUM_THREADS=1 python benchmarks/tuning.py --result benchmarks/results/tuning.json
    python benchmarks/tuning.py --methods ours,attribute-rewrite --result benchmarks/results/tuning-learned.json
    python benchmarks/tuning.py --methods ip-adapter --users 50 -p weights=runs/train/ip-adapter/final

Each setting is a run of its own under --out; a run that is there already is not drawn again. Of the settings that keep
prompt fidelity within 0.1 of `prompt-only`'s that of most mean utility is chosen; where none keeps it, that of most
prompt fidelity. A baseline's grid begins with the paper's setting, its authors' code's, or what is nearest to them in
so short a training. Methods that train or invert for every user are slow, so they have fewer users.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click

from prefbench.api import PrefbenchError, Scores
from prefbench.files import write_atomic
from prefbench.parameters import parse_pairs
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.execute import execute
from prefbench.run.prepare import Settings, prepare
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference


class Grid(NamedTuple):
    """What is tried of a method."""

    users: int
    """The first so many of val."""
    settings: Sequence[str]


GRIDS: Mapping[str, Grid] = {
    "ip-adapter": Grid(10, (
        "scale=0.8 images=one negative=disliked guidance=0",
        "scale=0.8 images=mean negative=disliked guidance=0",
        "scale=1 images=mean negative=none guidance=2",
        "scale=1 images=mean negative=disliked guidance=2",
        "scale=1.5 images=mean negative=disliked guidance=3",
        "scale=1 images=concat negative=disliked guidance=2",
    )),
    "instant-style": Grid(10, (
        "blocks=up_blocks.1 scale=1 images=one guidance=0",
        "blocks=up_blocks.0 scale=1 images=one guidance=0",
        "blocks=up_blocks.1 scale=2 images=one guidance=0",
        "blocks=up_blocks.1 scale=1.5 images=mean guidance=0",
        "blocks=up_blocks.1 scale=1.5 images=mean guidance=2",
        "blocks=up_blocks.1 scale=2 images=mean guidance=3",
    )),
    "fabric": Grid(10, (
        "weight=0.8 disliked=0.5 end=0.8",
        "weight=3 disliked=0.5 end=0.8",
        "weight=10 disliked=0.5 end=0.8",
        "weight=3 disliked=0 end=0.8",
        "weight=3 disliked=1 end=0.8",
        "weight=3 disliked=0.5 end=1",
    )),
    "style-aligned": Grid(5, (
        "weight=2 images=1 end=1",
        "weight=1 images=1 end=1",
        "weight=4 images=1 end=1",
        "weight=8 images=1 end=1",
        "weight=2 images=1 end=0.8",
        "weight=2 images=2 end=1",
    )),
    "textual-inversion": Grid(5, (
        "rate=0.005 strength=1",
        "rate=0.02 strength=1",
        "rate=0.05 strength=1",
        "rate=0.2 strength=1",
        "rate=0.05 strength=2",
        "rate=0.2 strength=2",
    )),
    "dreambooth-lora": Grid(5, (
        "rate=0.0003 scale=1",
        "rate=0.001 scale=1",
        "rate=0.003 scale=1",
        "rate=0.01 scale=1",
        "rate=0.003 scale=2",
        "rate=0.01 scale=0.5",
    )),
}  # fmt: skip
"""What is chosen here becomes the method's defaults."""
USER_ADAPTERS = Grid(10, (
    "user_scale=1 user_guidance=2",
    "user_scale=1.25 user_guidance=2",
    "user_scale=1.5 user_guidance=3",
    "user_scale=1.5 user_guidance=5",
    "user_scale=2 user_guidance=5",
    "user_scale=1.5 user_guidance=8",
))  # fmt: skip
LEARNED: Mapping[str, Grid] = {
    "ours": Grid(50, (
        "user_scale=1.25 user_guidance=2",
        "user_scale=1.25 user_guidance=3",
        "user_scale=1.25 user_guidance=3 negative=disliked",
        "user_scale=1 user_guidance=2 words=true sure=0.1",
        "user_scale=1.25 user_guidance=2 words=true sure=0.1",
        "user_scale=1.25 user_guidance=2 words=true sure=0.3",
        "user_scale=0.75 user_guidance=3 words=true sure=0.1",
        "user_scale=0.5 user_guidance=3 words=true sure=0.1",
    )),
    "attribute-rewrite": Grid(50, tuple(f"sure={sure}" for sure in (0, 0.1, 0.2, 0.3, 0.5, 0.7))),
}  # fmt: skip
"""The same of methods that draw with the language model of `ours`, for as many users as their time allows."""
UNRECORDED: Mapping[str, Grid] = {"teacher-adapter": USER_ADAPTERS}
"""Of weights that do not ship: no record yet."""
LOSS = 0.1
"""Of prompt fidelity at most, against `prompt-only`."""
_METRICS = ("utility", "prompt-fidelity")


@click.command()
@click.option("--methods", default=",".join(GRIDS), show_default=True)
@click.option("-p", "parameters", multiple=True, help="NAME=VALUE beside each setting, such as weights=FOLDER.")
@click.option("--users", type=click.IntRange(min=2), help="The first so many; default: each grid's.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/tuning"), show_default=True)
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(methods: str, parameters: tuple[str, ...], users: int | None, out: Path, result: Path | None) -> None:
    """Prints each setting with its utility and prompt fidelity, and marks the chosen ones."""
    grids = {**GRIDS, **LEARNED, **UNRECORDED}
    unknown = [name for name in methods.split(",") if name not in grids]
    if unknown:
        raise PrefbenchError(f"no settings for {', '.join(unknown)}, only for {', '.join(grids)}")
    table = {method: _table(method, grids[method], users, out, parameters) for method in methods.split(",")}
    if result is not None:
        content = {"split": "val", "loss": LOSS, "methods": table}
        content |= {"code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def _table(method: str, grid: Grid, users: int | None, out: Path, parameters: Sequence[str]) -> dict[str, Any]:
    """The settings of a method, and `prompt-only` for the same users."""
    users = users or grid.users
    plain = _measured("prompt-only", [], users, out)
    measured = [_measured(method, [*setting.split(), *parameters], users, out) for setting in grid.settings]
    floor = plain["prompt-fidelity"]["value"] - LOSS
    best = chosen([(row["utility"]["value"], row["prompt-fidelity"]["value"]) for row in measured], floor)
    rows = [_row(row, measured[best], plain) for row in measured]
    for row in rows:
        _show(method, row)
    return {"users": users, "prompt-only": _row(plain, plain, plain), "settings": rows}


def chosen(measured: Sequence[tuple[float, float]], floor: float) -> int:
    """The place of the best of (utility, prompt fidelity): most utility from the floor up, else most fidelity."""
    kept = [place for place, (_, fidelity) in enumerate(measured) if fidelity >= floor]
    if not kept:
        return max(range(len(measured)), key=lambda place: measured[place][1])
    return max(kept, key=lambda place: measured[place][0])


def _measured(method: str, setting: Sequence[str], users: int, out: Path) -> dict[str, Any]:
    """A setting's means with intervals, seconds and passes of the denoiser, and its scores of utility."""
    settings = Settings(method, parameters=setting, split="val", users=users, samples=1, out=out)
    prepared = prepare(settings)
    if execute(prepared).failed:
        raise PrefbenchError(f"samples of {method} {' '.join(setting)} failed; the same command tries again")
    with prepared.folder.locked():
        Evaluator(prepared.suite, _METRICS).score(Material(prepared.folder, prepared.suite, "val"))
    folder = ScoredFolder.open(prepared.folder.path)
    scores: dict[str, Scores] = {name: folder.columns()[name].scores for name in _METRICS}
    profiles = prepared.folder.profiles().values()
    return {
        "setting": parse_pairs(setting),
        **{name: asdict(mean_interval(each)) for name, each in scores.items()},
        "nfe": sum(sample.nfe or 0 for sample in folder.samples) / len(folder.samples),
        "seconds_per_user": sum(row.seconds for row in profiles) / len(profiles),
        "bytes_per_user": sum(row.bytes or 0 for row in profiles) / len(profiles),
        "seconds_per_image": sum(sample.seconds or 0 for sample in folder.samples) / len(folder.samples),
        "scores": scores["utility"],
    }


def _row(measured: Mapping[str, Any], best: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """As stored: with the paired differences in utility to the chosen setting and to `prompt-only`."""
    differences = {
        f"utility - {name}": asdict(paired_difference(measured["scores"], other["scores"]))
        for name, other in (("chosen", best), ("prompt-only", plain))
        if other is not measured
    }
    kept = {name: value for name, value in measured.items() if name != "scores"}
    return {**kept, **differences, "chosen": measured is best}


def _show(method: str, row: Mapping[str, Any]) -> None:
    means = "  ".join(f"{name} {row[name]['value']:.3f}" for name in _METRICS)
    setting = " ".join(f"{name}={value}" for name, value in row["setting"].items())
    click.echo(f"{'*' if row['chosen'] else ' '} {method:18s} {setting:52s} {means}")


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"tuning: {error}") from error
