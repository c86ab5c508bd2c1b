"""What several workers cost and change, beside one process.

    python benchmarks/devices.py same                 # the same images and rows, per method
    python benchmarks/devices.py same --nodes 2       # by actors of a Ray cluster of two local nodes
    python benchmarks/devices.py threads              # whether the number of threads changes pixels on the CPU
    python benchmarks/devices.py speed                # two workers on two cores beside one process with one thread

`same` draws each run twice, in one process and by `--devices`, and compares every row but what it cost. `threads` draws
in one process with 1 and with 2 threads. `speed` draws in turns, in one process with one thread, by one worker and by
two; samples per second are of the drawing, once models are loaded, and efficiency is that of n workers over n times the
one process's. Other work on the machine is in these figures.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

import prefbench
from prefbench.engines.ray_workers import Ray
from prefbench.files import write_atomic
from prefbench.run.draw import RunResult
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.folder import RunFolder
from prefbench.run.watch import Watch

METHODS = "prompt-only,ours,ip-adapter"
COSTS = ("seconds",)
"""Fields of a sample that differ between any two runs."""
PROFILE_COSTS = ("seconds", "peak_memory_bytes")


@dataclass(frozen=True)
class Comparison:
    """One run drawn in two ways."""

    method: str
    n_samples: int
    other_images: int
    """Samples whose images differ."""
    other_rows: int
    """Samples whose rows differ in anything but their cost."""
    other_profiles: int
    seconds: tuple[float, float]
    """Of the whole call, models and suite loaded anew: the one, the other."""

    @property
    def is_same(self) -> bool:
        """Whether nothing but costs differs."""
        return not (self.other_images or self.other_rows or self.other_profiles)


def sample_rows(folder: RunFolder) -> Mapping[str, Mapping[str, Any]]:
    """The rows of samples by key, without costs."""
    return {key: _without(asdict(sample), COSTS) for key, sample in folder.samples().items()}


def profile_rows(folder: RunFolder) -> Mapping[str, Mapping[str, Any]]:
    """The rows of profiles by history, without costs."""
    return {key: _without(asdict(row), PROFILE_COSTS) for key, row in folder.profiles().items()}


def _without(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def compare(method: str, one: tuple[Path, float], other: tuple[Path, float]) -> Comparison:
    """Compares two run folders; each comes with the seconds that it took."""
    folders = RunFolder(one[0]), RunFolder(other[0])
    rows, others = map(sample_rows, folders)
    profiles, other_profiles = map(profile_rows, folders)
    images, other_images = ({key: row["image"] for key, row in some.items()} for some in (rows, others))
    return Comparison(
        method, len(rows), _unequal(images, other_images), _unequal(rows, others),
        _unequal(profiles, other_profiles), (round(one[1], 1), round(other[1], 1)),
    )  # fmt: skip


def _unequal(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one.get(key) != other.get(key) for key in {*one, *other})


def drawn(method: str, out: Path, **choices: Any) -> tuple[Path, float]:
    """Draws a run into a folder that is new; its path and the seconds."""
    began = time.monotonic()
    run = prefbench.run(method, out=out, score=False, **choices)
    return run.path, time.monotonic() - began


@click.group()
def main() -> None:
    """Measures what several workers cost and change."""


_methods = click.option("--methods", default=METHODS, show_default=True)
_users = click.option("--users", default=10, show_default=True)
_out = click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")


@main.command()
@_methods
@_users
@click.option("--devices", default="cpu:2", show_default=True)
@click.option("--nodes", type=click.IntRange(2), help="By actors on so many local nodes of a Ray cluster.")
@_out
def same(methods: str, users: int, devices: str, nodes: int | None, out: Path | None) -> None:
    """Draws runs in one process and by several workers. Exit code 1 where an image or a row differs."""
    cluster: dict[str, Any] = {}
    if nodes is not None:
        from ray.cluster_utils import Cluster

        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as that of one process
        local = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        for _ in range(nodes - 1):
            local.add_node(num_cpus=1)
        devices, cluster = f"cpu:{nodes}", {"ray": Ray(local.address)}
    with tempfile.TemporaryDirectory() as name:
        root, rows = Path(name), list[Comparison]()
        for method in methods.split(","):
            device = devices.split(":")[0] if devices.startswith("cpu") else devices.split(",")[0]
            one = drawn(method, root / "one", users=users, device=device)
            rows.append(compare(method, one, drawn(method, root / "several", users=users, devices=devices, **cluster)))
            click.echo(_line(rows[-1], "one process", devices))
    _end(rows, out, {"users": users, "devices": devices, "nodes": nodes})


@main.command()
@_methods
@_users
@_out
def threads(methods: str, users: int, out: Path | None) -> None:
    """Draws runs with 1 and with 2 threads on the CPU. Exit code 1 where an image or a row differs."""
    import torch

    with tempfile.TemporaryDirectory() as name:
        root, rows = Path(name), list[Comparison]()
        for method in methods.split(","):
            runs = []
            for count in (1, 2):
                torch.set_num_threads(count)
                runs.append(drawn(method, root / str(count), users=users, device="cpu"))
            rows.append(compare(method, *runs))
            click.echo(_line(rows[-1], "1 thread", "2 threads"))
    _end(rows, out, {"users": users, "threads": [1, 2]})


@main.command()
@click.option("--method", default="prompt-only", show_default=True)
@_users
@click.option("--rounds", default=3, show_default=True)
@_out
def speed(method: str, users: int, rounds: int, out: Path | None) -> None:
    """Samples per second of one process with one thread, of one worker and of two; medians over rounds."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of workers too
    ways: Mapping[str, dict[str, Any]] = {
        "one process": {"device": "cpu"},
        "cpu:1": {"devices": "cpu:1"},
        "cpu:2": {"devices": "cpu:2"},
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as name:
        for turn, way in itertools.product(range(rounds), ways):
            told = Rate()
            place = Path(name) / way.replace(":", "-")
            prefbench.run(method, users=users, seed=turn, out=place, score=False, watch=told, **ways[way])
            rates[way].append(told.rate)
    medians = {way: statistics.median(values) for way, values in rates.items()}
    alone = medians["one process"]
    efficiency = {"cpu:1": medians["cpu:1"] / alone, "cpu:2": medians["cpu:2"] / (2 * alone)}
    for way, value in medians.items():
        told_efficiency = f", efficiency {efficiency[way]:.3f}" if way in efficiency else ""
        click.echo(f"{way:12s} {value:.2f} samples per second{told_efficiency}")
    if out is not None:
        asked = {"method": method, "users": users, "rounds": rounds}
        figures = {"samples_per_second": medians, "efficiency": efficiency, "all": rates}
        about = {"code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(out, json.dumps({**asked, **figures, **about}, indent=1) + "\n")


class Rate(Watch):
    """Is told how long the drawing took."""

    rate = 0.0

    def drawn(self, result: RunResult, path: Path) -> None:  # noqa: ARG002
        """Keeps samples per second."""
        self.rate = result.drawn / result.seconds


def _line(row: Comparison, one: str, other: str) -> str:
    counts = f"{row.other_images} images, {row.other_rows} rows, {row.other_profiles} profiles differ"
    took = f"{one} {row.seconds[0]} s, {other} {row.seconds[1]} s"
    return f"{row.method:12s} {row.n_samples} samples: {'the same' if row.is_same else counts} ({took})"


def _end(rows: Sequence[Comparison], out: Path | None, asked: Mapping[str, Any]) -> None:
    if out is not None:
        about = {"code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(out, json.dumps({**asked, "rows": [asdict(row) for row in rows], **about}, indent=1) + "\n")
    sys.exit(0 if all(row.is_same for row in rows) else 1)


if __name__ == "__main__":
    main()
