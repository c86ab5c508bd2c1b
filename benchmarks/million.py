"""What a run of a million samples costs beside the drawing: planning, storing, going on, and reading its rows.

    python benchmarks/million.py --rows 50000 --rows 200000 --rows 1000000 --out benchmarks/results/million.json

The run is `prompt-only` for picturebook's 100 test users, as many samples of a prompt as the rows ask for, a different
picture for each. Stages, each in a forked process that has loaded what it imports, in seconds of its processor and of
the clock, MiB of peak memory above what it began with, and files and MiB on disk:

- plan: `prefbench run` before it draws, in an empty folder;
- store: encoding and writing what was drawn, batch by batch, as a run does beside the drawing; most of its time by the
  clock is waiting for the disk, so `--no-sync` makes a large folder sooner;
- go on: the same command in the whole folder;
- decode: the same where the list of whole images is lost, as in a copied folder: every image is decoded;
- rows: all rows with the checks that scoring begins with.

Exit code 1 where a stage passes its limit at 1,000,000 rows.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.load import CASES, Cost, apart, profile_rows, sample, settings_of, warm_up
from prefbench.api import colour_spread
from prefbench.files import write_atomic
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.execute import describe
from prefbench.run.prepare import Prepared, Settings, prepare
from prefbench.score.score_files import samples_digest

LARGE, BATCH = 1_000_000, 16
LIMITS = {"plan": (30.0, 2048.0), "go on": (60.0, 2048.0)}
"""Seconds of the processor and MiB of `LARGE` rows."""


@dataclass(frozen=True)
class Stage:
    """What a stage took."""

    seconds: float
    """Of the processor."""
    clock: float
    mib: float


@click.command()
@click.option("--rows", multiple=True, type=click.IntRange(CASES), default=(50_000, 200_000), show_default=True)
@click.option("--sync/--no-sync", default=True, show_default=True, help="Wait for the disk at each file.")
@click.option("--place", type=click.Path(path_type=Path), help="Folder for the run, which is deleted in the end.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(rows: Sequence[int], sync: bool, place: Path | None, out: Path | None) -> None:
    """Prints what each stage takes for each number of rows."""
    warm_up()
    if not sync:
        os.fsync = lambda _: None  # type: ignore[assignment]
    measured = {n: _measured(n, place) for n in sorted(rows)}
    result = {
        "command": portable(shlex.join(["python", *sys.argv])),
        "rows": {str(n): one for n, one in measured.items()},
        "limits": {"rows": LARGE, **{stage: {"seconds": s, "mib": mib} for stage, (s, mib) in LIMITS.items()}},
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    if out is not None:
        write_atomic(out, json.dumps(result, indent=1) + "\n")
    large = measured.get(LARGE, {}).get("stages", {})
    faults = [
        f"{stage} passes {seconds:g} s or {mib:g} MiB"
        for stage, (seconds, mib) in LIMITS.items()
        if large and (large[stage]["seconds"] > seconds or large[stage]["mib"] > mib)
    ]
    click.echo("\n".join(faults) or "no limit is passed")
    sys.exit(1 if faults else 0)


def _measured(rows: int, place: Path | None) -> dict[str, dict[str, Any]]:
    """Every stage on a run of so many rows, and what it takes on disk."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        settings = settings_of(rows, Path(scratch))
        stages: dict[str, Callable[[], object]] = {
            "plan": lambda: _go_on(settings, finished=0),
            "store": lambda: _store(prepare(settings)),
            "go on": lambda: _go_on(settings, finished=rows),
            "decode": lambda: _go_on(_without_list(settings), finished=rows),
            "rows": lambda: _read(settings),
        }
        costs = {}
        for name, stage in stages.items():
            started = time.monotonic()
            cost: Cost = apart(stage).cost
            costs[name] = vars(Stage(cost.seconds, time.monotonic() - started, cost.mib))
            click.echo(f"{rows:,} rows: {name} {cost.seconds:.1f} s {cost.mib:.0f} MiB")
        files = [path.stat() for path in Path(scratch).rglob("*") if path.is_file()]
        taken = sum(status.st_blocks for status in files) * 512 / 2**20
        content = sum(status.st_size for status in files) / 2**20
        click.echo(f"{rows:,} rows: {len(files):,} files, {content:.0f} MiB in {taken:.0f} MiB of disk")
        shutil.rmtree(scratch, ignore_errors=True)
    return {"stages": costs, "disk": {"files": len(files), "mib": content, "mib_of_blocks": taken}}


def _go_on(settings: Settings, *, finished: int) -> None:
    prepared = prepare(settings)
    keys = prepared.folder.finished()
    assert sum(planned.key in keys for batch in prepared.plan for planned in batch) == finished


def _store(prepared: Prepared) -> None:
    """Writes all rows and pictures as a run does, some of `BATCH` at a time."""
    folder, rng = prepared.folder, np.random.default_rng(0)
    folder.write_description(describe(prepared, code_state()))
    for row in profile_rows(prepared):
        folder.append_profile(row)
    planned = [one for batch in prepared.plan for one in batch]
    pictures = _pictures(rng)
    for start in range(0, len(planned), BATCH):
        rows = []
        for one in planned[start : start + BATCH]:
            image = Image.fromarray(next(pictures))
            rows.append(sample(one, folder.put_image(image), colour_spread(image)))
        folder.append_samples(rows)


def _pictures(rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Pictures of 32 x 32 pixels (H, W, 3), coarse enough to compress as drawn ones do, none twice."""
    while True:
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        yield coarse.repeat(4, 0).repeat(4, 1)


def _without_list(settings: Settings) -> Settings:
    (settings.out / next(settings.out.iterdir()).name / "images" / ".verified").unlink()
    return replace(settings)


def _read(settings: Settings) -> None:
    """The rows, and the digest over them that scores are kept with."""
    samples = prepare(settings).folder.samples()
    assert samples_digest(list(samples.values()))


if __name__ == "__main__":
    main()
