"""What large run folders cost: report, resume planning and the audit without pictures, by rows.

    python benchmarks/load.py --rows 50000 --rows 200000 --out benchmarks/results/load.json

A folder is made up: picturebook's 100 test users, 5 prompts each, as many samples of a prompt as the rows ask for,
1,000 pictures, nine values a row of four metrics. Every stage runs in a forked process that has loaded what it imports;
it is told in processor seconds, and in MiB of peak memory above what that process began with. `growth` is the exponent
between the least and the greatest number of rows, log(seconds ratio) / log(rows ratio): 1 is linear. Exit code 1 where
a stage passes its limit at 200,000 rows, or grows faster than rows do.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import multiprocessing
import resource
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np
import psutil
from PIL import Image

import prefbench
from prefbench.api import Sample, ScoreHeader, colour_spread
from prefbench.api.metrics import Question
from prefbench.check.findings import run_checks
from prefbench.cli.runs import open_runs
from prefbench.cli.screen import Screen
from prefbench.files import write_atomic
from prefbench.reports.audit import checks
from prefbench.reports.audit.audited_run import AuditedRun
from prefbench.reports.audit.contents import SuiteContents
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.execute import describe
from prefbench.run.plan import Planned
from prefbench.run.prepare import Prepared, Settings, prepare, suite_of_run
from prefbench.run.row_kinds import ProfileRow
from prefbench.score.score_files import StoredScores, samples_digest, write_scores
from prefbench.score.score_rows import ScoreRow
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary

CASES, PICTURES, LARGE = 500, 1000, 200_000
COLUMNS: Mapping[str, tuple[Question, Sequence[str]]] = {
    "utility": ("preference", ("", "/worded", "/semantic", "/silent")),
    "preference": ("preference", ("", "/gain", "/others")),
    "clip-score": ("adherence", ("",)),
    "prompt-fidelity": ("adherence", ("",)),
}
LIMITS = {"report": 30.0, "resume planning": 5.0, "audit without pictures": 10.0}
"""Processor seconds of `LARGE` rows."""
MEMORY, GROWTH = 600.0, 1.15
"""MiB of a report of `LARGE` rows; the exponent that still counts as linear."""
WITHOUT_PICTURES = ("description", "suite", "users", "rows", "seeds", "targets", "trained on", "scores")


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    seconds: float
    mib: float


@dataclass(frozen=True)
class Measured:
    """What a forked process took, and what it had imported in the end."""

    cost: Cost
    modules: Sequence[str]


@click.command()
@click.option("--rows", multiple=True, type=click.IntRange(CASES), default=(50_000, LARGE), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(rows: Sequence[int], out: Path | None) -> None:
    """Prints seconds and memory of every stage for every number of rows, and how they grow."""
    warm_up()
    costs = {n: measured(n) for n in sorted(rows)}
    least, greatest = min(costs), max(costs)
    growth = {
        stage: math.log(costs[greatest][stage].seconds / costs[least][stage].seconds) / math.log(greatest / least)
        for stage in LIMITS
        if greatest > least
    }
    for n, stages in costs.items():
        shown = ", ".join(f"{stage} {cost.seconds:.1f} s {cost.mib:.0f} MiB" for stage, cost in stages.items())
        click.echo(f"{n:,} rows: {shown}")
    click.echo("growth: " + ", ".join(f"{stage} {exponent:.2f}" for stage, exponent in growth.items()))
    result = {
        "command": portable(shlex.join(["python", *sys.argv])),
        "rows": {str(n): {stage: vars(cost) for stage, cost in stages.items()} for n, stages in costs.items()},
        "growth": growth,
        "limits": {"rows": LARGE, "seconds": LIMITS, "report_mib": MEMORY, "growth": GROWTH},
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    if out is not None:
        write_atomic(out, json.dumps(result, indent=1) + "\n")
    faults = passed_limits(costs.get(LARGE, {}), growth)
    for fault in faults:
        click.echo(fault)
    sys.exit(1 if faults else 0)


def passed_limits(large: Mapping[str, Cost], growth: Mapping[str, float]) -> list[str]:
    """One line for every limit that is passed."""
    faults = [f"{stage}: over {LIMITS[stage]:g} s" for stage, cost in large.items() if cost.seconds > LIMITS[stage]]
    if large and large["report"].mib > MEMORY:
        faults.append(f"report: over {MEMORY:g} MiB")
    return faults + [f"{stage} grows faster than rows" for stage, exponent in growth.items() if exponent > GROWTH]


def measured(rows: int) -> dict[str, Cost]:
    """The cost of every stage on a folder of so many rows."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = settings_of(rows, Path(scratch))
        apart(lambda: make_up(prepare(settings)))
        path = next(Path(scratch).iterdir())
        return {
            "report": apart(lambda: report(path)).cost,
            "resume planning": apart(lambda: plan(settings)).cost,
            "audit without pictures": apart(lambda: audit(path)).cost,
        }


def settings_of(rows: int, out: Path) -> Settings:
    """A run of so many rows."""
    return Settings("prompt-only", device="cpu", samples=rows // CASES, out=out, command="made up")


def warm_up() -> None:
    """Imports here what the stages import: a forked process then has it.

    Nothing but imports happens in this process: a fork of one that has computed can hang in a library's threads.
    """
    for name in apart(_all_stages).modules:
        with suppress(Exception):  # some modules are made by hand and cannot be imported
            importlib.import_module(name)
    gc.freeze()  # a search for garbage in a fork would copy every page of what was imported


def _all_stages() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        settings = settings_of(CASES, Path(scratch))
        make_up(prepare(settings))
        path = next(Path(scratch).iterdir())
        report(path)
        plan(settings)
        audit(path)


def report(path: Path) -> None:
    """What `prefbench report RUN --json` does."""
    result = prefbench.report(open_runs([path], Screen(quiet=True)))
    assert [result.tables, result.as_json()]
    result.write(path / "report")


def plan(settings: Settings) -> None:
    """What `prefbench run` does before it draws."""
    prepared = prepare(settings)
    finished = prepared.folder.finished()
    assert all(planned.key in finished for batch in prepared.plan for planned in batch)


def audit(path: Path) -> None:
    """The checks of `prefbench audit` that look at no picture, on a suite that shows none but the histories."""
    scored = open_runs([path], Screen(quiet=True), read="rows")[0].scored
    suite = suite_of_run(scored.spec)
    histories = {user.id: suite.history(user.id) for user in suite.users("test")}
    run = AuditedRun(scored.folder, suite, SuiteContents("test", {}, histories, {}, {}), rows=scored.samples)
    findings = run_checks({name: partial(checks.CHECKS[name], run) for name in WITHOUT_PICTURES}, lambda _: None)
    assert all(finding.passed for finding in findings), [one for one in findings if not one.passed]


def make_up(prepared: Prepared, *, pictures: int = PICTURES, seed: int = 0) -> None:
    """A run folder that is drawn, scored and summarised, with pictures and values by chance."""
    folder, rng = prepared.folder, np.random.default_rng(seed)
    folder.write_description(describe(prepared, code_state()))
    stored = [(folder.put_image(image), colour_spread(image)) for image in _noise(rng, pictures)]
    for row in profile_rows(prepared):
        folder.append_profile(row)
    planned = [one for batch in prepared.plan for one in batch]
    for start in range(0, len(planned), 1000):
        folder.append_samples(
            sample(one, *stored[(start + i) % pictures]) for i, one in enumerate(planned[start : start + 1000])
        )
    samples = list(folder.samples().values())
    for name, (question, parts) in COLUMNS.items():
        header = ScoreHeader(
            f"{name}@1[made up]", "up", question, "image", samples_digest(samples), prepared.suite.digest
        )
        values = rng.uniform(-1, 1, (len(parts), len(samples))).round(6).tolist()
        rows = [
            ScoreRow(one.key, name + part, value)
            for part, column in zip(parts, values, strict=True)
            for one, value in zip(samples, column, strict=True)
        ]
        write_scores(folder, name, StoredScores(header, rows))
    store_summary(ScoredFolder.open(folder.path))


def _noise(rng: np.random.Generator, n: int) -> Iterator[Image.Image]:
    """Pictures of 32 x 32 pixels, coarse enough to compress as drawn ones do."""
    for _ in range(n):
        yield Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((32, 32))


def profile_rows(prepared: Prepared) -> list[ProfileRow]:
    """One row per user."""
    return [ProfileRow(user, history.digest, 0.01, 0, 0, 2**30, "ok") for user, history in prepared.histories.items()]


def sample(planned: Planned, image: str, spread: float) -> Sample:
    """The row of a drawn sample."""
    case = planned.case
    about = {"status": "ok", "image": image, "prompt_used": case.prompt, "seconds": 0.1, "nfe": 32, "spread": spread}
    return Sample(planned.key, case.user, case.id, case.prompt, planned.index, planned.seed, **about)  # type: ignore[arg-type]


def apart(stage: Callable[[], object]) -> Measured:
    """What a stage took in a forked process. Raises `EOFError` where the stage raised."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_timed, args=(stage, there))
    process.start()
    there.close()
    measured: Measured = here.recv()
    process.join()
    return measured


def _timed(stage: Callable[[], object], told: Connection) -> None:
    before, started = psutil.Process().memory_info().rss, time.process_time()
    stage()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cost = Cost(time.process_time() - started, (peak - before) / 2**20)
    told.send(Measured(cost, sorted(sys.modules)))


if __name__ == "__main__":
    main()
