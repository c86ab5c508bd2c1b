"""What a folder of many judgments costs: `check suite`, and planning a run for all its users.

    python benchmarks/judgments.py --judgments 1000000 --users 10000 --out benchmarks/results/judgments.json

The folder is made up: a Parquet table of likes and dislikes of pictures that everybody judged, and prompts to draw for.
Each stage runs in a process of its own that did the same on a small folder before, so that nothing is imported or
loaded for the first time; it is told in processor seconds and in MiB of peak memory. Exit code 1 where a stage passes
its limit: 5 minutes and 4 GiB for the check, 10 seconds for the plan.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np
import pandas as pd
from PIL import Image

from prefbench.check import check_suite
from prefbench.files import write_atomic
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.prepare import Settings, prepare

PICTURES, PROMPTS = 20_000, 15
LIMITS = {"check suite": (300.0, 4096.0), "plan": (10.0, 4096.0)}
"""Most processor seconds and MiB of each stage."""


@click.command()
@click.option("--judgments", type=click.IntRange(min=1000), default=1_000_000, show_default=True)
@click.option("--users", type=click.IntRange(min=10), default=10_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(judgments: int, users: int, out: Path | None) -> None:
    """Makes the folder and prints what each stage costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mine"
        small = Path(name) / "small"
        _make(folder, judgments, users)
        _make(small, 1000, 10)
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")
        costs = {
            stage: _cost(run, str(folder), str(small)) for stage, run in (("check suite", _check), ("plan", _plan))
        }
    for stage, (seconds, mib) in costs.items():
        click.echo(
            f"{stage}: {seconds:.1f} s, {mib:.0f} MiB, limits {LIMITS[stage][0]:g} s and {LIMITS[stage][1]:g} MiB"
        )
    content = {
        "command": f"python benchmarks/judgments.py --judgments {judgments} --users {users}",
        "judgments": judgments, "users": users, "pictures": PICTURES, "prompts": PROMPTS,
        "costs": {stage: {"seconds": seconds, "mib": mib} for stage, (seconds, mib) in costs.items()},
        "code": code_state(), "hardware": hardware(), "versions": versions(),
    }  # fmt: skip
    if out is not None:
        write_atomic(out, json.dumps(content, indent=1) + "\n")
    passed = [stage for stage, cost in costs.items() if any(a > b for a, b in zip(cost, LIMITS[stage], strict=True))]
    raise SystemExit(1 if passed else 0)


def _make(folder: Path, judgments: int, users: int) -> None:
    """Pictures of noise, each judged by many; who likes what is drawn at random."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir(parents=True)
    names = [f"pictures/{n}.png" for n in range(PICTURES)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / name)
    table = pd.DataFrame(
        {
            "file_name": np.array(names)[rng.integers(0, PICTURES, judgments)],
            "user": [f"user-{n % users}" for n in range(judgments)],
            "liked": rng.random(judgments) < 0.5,
        }
    ).drop_duplicates(["file_name", "user"])
    table.to_parquet(folder / "metadata.parquet", index=False)
    (folder / "prompts.txt").write_text("".join(f"a thing of kind {n}\n" for n in range(PROMPTS)), encoding="utf-8")


def _check(folder: str) -> None:
    findings = check_suite(folder)
    if failed := [one for one in findings if not one.passed]:
        raise RuntimeError(f"{failed[0].check}: {failed[0].detail}")


def _plan(folder: str) -> None:
    backbone = str(load("backbone", "mini-sd").name)
    prepare(Settings("prompt-only", suite=folder, backbone=backbone, out=Path(folder).parent / "runs"))


def _cost(stage: Callable[[str], None], folder: str, small: str) -> tuple[float, float]:
    """Processor seconds and MiB of peak memory of a stage in a process of its own, after the same on a small folder."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(stage, folder, small, sender))
    process.start()
    process.join()
    if process.exitcode or not receiver.poll():
        raise SystemExit(f"{stage.__name__} ended with {process.exitcode}")
    seconds, mib = receiver.recv()
    return float(seconds), float(mib)


def _measured(stage: Callable[[str], None], folder: str, small: str, sender: Connection) -> None:
    stage(small)
    before = time.process_time()
    stage(folder)
    sender.send((time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


if __name__ == "__main__":
    main()
