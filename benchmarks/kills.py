"""Kills real runs at random moments and in the middle of writes, and compares what the same command then ends with.

    python -m benchmarks.kills --kills 500 --out benchmarks/results/kills.json
    python -m benchmarks.kills --kills 50 --devices cpu:2 --out benchmarks/results/kills-devices.json
    python -m benchmarks.kills --kills 50 --nodes 2 --out benchmarks/results/kills-nodes.json

Every chain is one run folder: `prefbench run` is started again and again in a process of its own and killed with
SIGKILL, at a random moment or at one of its durable writes (before the data are on the disk, before the file has its
name), until a start ends by itself. Then every row, image, profile, representation and score must equal those of a run
that nobody killed, but for times and memory. Exit code 1 where a folder differs or the command did not end well.

Processes are forked from one that has loaded everything, so that most kills hit the work and not the imports. With
`--devices` each kill hits the driver, or one of its workers, which start anew, while the run is drawn; it is compared
with a run of one process. With `--nodes` workers are actors of a Ray cluster of so many local nodes, and some kills hit
a node, whose place another takes.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import torch

from benchmarks.kill_places import Nodes, Place
from prefbench.cli.main import main as prefbench
from prefbench.files import write_atomic
from prefbench.run.environment import code_state, hardware, versions

OPTIONS = (
    "--users",
    "3",
    "--steps",
    "2",
    "--batch",
    "6",
    "--metrics",
    "clip-score,utility,preference,fid,probing",
)
DRAWN = ("--users", "20", "--steps", "8", "--batch", "6", "--no-score")
"""What is drawn by several workers: long enough that kills hit the drawing."""
_MOMENT = 40.0
"""Seconds between two kills by several workers at most."""
NOISE = {"seconds", "peak_memory_bytes", "cost", "sum", "sha256", "digest"}
"""What differs between two runs that nobody killed: times, memory, and digests over rows that hold them."""
DERIVED = ("report/*", "features/*", "samples.parquet", "starts.jsonl", "run.json", ".*")
"""Files that are made from the others, or describe when and where a run was started."""
FSYNC = os.fsync


def content(folder: Path) -> Mapping[str, Any]:
    """What must be equal: every file of a run folder by its name, rows without their order and their noise."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path.relative_to(folder): path for path in files}
    return {str(name): _read(path) for name, path in names.items() if not any(name.match(one) for one in DERIVED)} | {
        "spec": json.loads((folder / "run.json").read_text())["spec"]
    }


def _read(path: Path) -> Any:
    if path.suffix == ".jsonl":
        return sorted(json.dumps(_quiet(json.loads(row)), sort_keys=True) for row in path.read_text().splitlines())
    if path.suffix == ".json":
        return _quiet(json.loads(path.read_text()))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: array.tobytes() for name, array in arrays.items()}
    return path.read_bytes()


def _quiet(content: Any) -> Any:
    """The rows without noise."""
    if isinstance(content, dict):
        return {name: _quiet(value) for name, value in content.items() if name not in NOISE}
    return [_quiet(value) for value in content] if isinstance(content, list) else content


def start(arguments: list[str], log: Path, kill_at: int | None = None) -> Any:
    """The command in a forked process; `kill_at` is the durable write at which it kills itself."""

    def command() -> None:
        with log.open("a") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            if kill_at is not None:
                module: Any = os
                module.fsync = _killing(kill_at)
            prefbench.main(args=arguments, prog_name="prefbench", standalone_mode=True)

    process = multiprocessing.get_context("fork").Process(target=command)
    process.start()
    return process


def _killing(kill_at: int) -> Callable[[Any], None]:
    writes: Iterator[int] = iter(range(1, sys.maxsize))

    def fsync(descriptor: Any) -> None:
        if next(writes) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        FSYNC(descriptor)

    return fsync


def chain(
    method: str, folder: Path, moments: random.Random, seconds: float, kills: int, options: tuple[str, ...] = OPTIONS
) -> tuple[int, Counter[str]]:
    """Starts and kills one run until a start ends, at most `kills` times; the last exit code, and kills by kind."""
    arguments, log = ["run", "--method", method, *options, "--out", str(folder)], folder / "log.txt"
    folder.mkdir(parents=True)
    counts: Counter[str] = Counter()
    while counts.total() < kills:
        at_write = moments.random() < 0.5
        process = start(arguments, log, moments.randint(1, 40) if at_write else None)
        process.join(None if at_write else moments.uniform(0, seconds))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            return int(process.exitcode), counts
        counts["at a write" if at_write else "at a moment"] += 1
    process = start(arguments, log)
    process.join()
    return int(process.exitcode), counts


def chain_of_workers(
    method: str, folder: Path, moments: random.Random, kills: int, place: Place
) -> tuple[int, Counter[str]]:
    """Draws one run by several workers, and kills these, their driver and nodes at random moments, at most `kills`
    times.

    A run that gives up, as every worker ended on one batch or while it was set up, is started again.
    """
    arguments, log = ["run", "--method", method, *DRAWN, "--out", str(folder), *place.options], folder / "log.txt"
    folder.mkdir(parents=True)
    counts: Counter[str] = Counter()
    process = start(arguments, log)
    while counts.total() < kills:
        process.join(moments.uniform(0, _MOMENT))
        if _gave_up(process, log):
            process = start(arguments, log)
        elif process.exitcode is not None:
            return int(process.exitcode), counts
        [victim] = moments.choices(list(place.shares), list(place.shares.values()))
        if victim == "driver":
            process.kill()
            process.join()
            process = start(arguments, log)
        elif victim == "node":
            place.lose_node()
        elif workers := place.workers(process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                moments.choice(workers).kill()
        else:
            continue
        counts[victim] += 1
    process.join()
    while _gave_up(process, log):
        process = start(arguments, log)
        process.join()
    return int(process.exitcode), counts


def _gave_up(process: Any, log: Path) -> bool:
    return process.exitcode in (1, 2) and "worker" in log.read_text()[-1000:]


@click.command()
@click.option("--methods", default="prompt-only,ours,ip-adapter,inferred", show_default=True)
@click.option("--kills", default=200, show_default=True)
@click.option("--chain", "length", default=8, show_default=True, help="Kills of one folder at most.")
@click.option("--seed", default=0, show_default=True)
@click.option("--devices", help="Draw by several workers: as of `prefbench run`.")
@click.option("--nodes", type=click.IntRange(2), help="Draw by actors on so many local nodes of a Ray cluster.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(
    methods: str, kills: int, length: int, seed: int, devices: str | None, nodes: int | None, out: Path | None
) -> None:
    """Prints one line per chain. With `--out` each is kept, and the same command of one commit goes on from there."""
    torch.set_num_threads(1)
    names, code_now = methods.split(","), code_state()
    rows = _kept(out, seed, code_now)
    counts = Counter[str]()
    for row in rows:
        counts += Counter(row["kills"])
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        root = Path(name)
        place = stack.enter_context(Nodes(nodes)) if nodes else Place(devices) if devices else None
        options, attempts = (OPTIONS, 2) if place is None else (DRAWN, 1)
        whole = {method: _undisturbed(method, root / "whole" / method, options, attempts) for method in names}
        while counts.total() < kills:
            method = names[len(rows) % len(names)]
            expected, expected_code, seconds = whole[method]
            folder = root / f"chain-{len(rows)}"
            moments = random.Random(f"{seed} {len(rows)}")
            if place is None:
                code, killed = chain(method, folder, moments, seconds, length)
            else:
                code, killed = chain_of_workers(method, folder, moments, length, place)
            differences = _differences(expected, folder) + ["exit code"] * (code != expected_code)
            rows.append({"method": method, "kills": dict(killed), "exit": code, "differences": differences})
            counts += killed
            _write(out, seed, rows, code_now)
            click.echo(f"{method:12s} {killed.total():3d} kills, exit {code}, {', '.join(differences) or 'equal'}")
            if code != expected_code:
                click.echo((folder / "log.txt").read_text()[-2000:], err=True)
    failed = [row for row in rows if row["differences"]]
    click.echo(f"{counts.total()} kills in {len(rows)} run folders ({dict(counts)}), {len(failed)} folders differ")
    sys.exit(1 if failed else 0)


def _kept(out: Path | None, seed: int, code: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chains of an earlier call with this seed and code."""
    if out is None or not out.is_file():
        return []
    record = json.loads(out.read_text())
    is_same = (record["seed"], record["code"]["commit"]) == (seed, code["commit"])
    rows: list[dict[str, Any]] = record["rows"] if is_same else []
    return rows


def _write(out: Path | None, seed: int, rows: list[dict[str, Any]], code: Mapping[str, Any]) -> None:
    if out is None:
        return
    counts: Counter[str] = sum((Counter(row["kills"]) for row in rows), Counter())
    failed = [row for row in rows if row["differences"]]
    record = {"seed": seed, "kills": dict(counts), "folders": len(rows), "failed": failed, "rows": rows, "code": code}
    write_atomic(out, json.dumps(record | {"hardware": hardware(), "versions": versions()}, indent=1) + "\n")


def _undisturbed(
    method: str, folder: Path, options: tuple[str, ...], attempts: int
) -> tuple[Mapping[str, Any], int, float]:
    """What a run that nobody kills ends with, its exit code (1 where too few users are left to probe) and its seconds.

    Where the seconds matter it is run twice, the first time to have the models' files in memory.
    """
    for attempt in range(attempts):
        place, began = folder / str(attempt), time.monotonic()
        code, _ = chain(method, place, random.Random(), 0, 0, options)
        if code not in (0, 1):
            raise click.ClickException(f"{method} ends with {code}: {(place / 'log.txt').read_text()}")
    return content(_run(place)), code, time.monotonic() - began


def _run(folder: Path) -> Path:
    [run] = [path.parent for path in folder.glob("*/run.json")]
    return run


def _differences(expected: Mapping[str, Any], folder: Path) -> list[str]:
    """Names of files that are missing, too many or unequal."""
    found: Mapping[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        found = content(_run(folder))
    return sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))


if __name__ == "__main__":
    main()
