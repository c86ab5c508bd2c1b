"""How fast the statistics are: the crossed bootstrap on a million rows, the Frechet distance at 2,048 dimensions.

The bootstrap against copying rows, a replicate at a time, in both shapes that a benchmark takes: 10,000 users who share
100 prompts, and 10,000 users with 100 prompts of their own. The distance against the usual route, a matrix root by
`scipy.linalg.sqrtm`. Seconds are wall times of one machine, which others may use meanwhile; the ratios are measured in
one process, in turns. Every bootstrap runs in a process of its own, so that its peak memory is its own:

    python benchmarks/statistics_speed.py --out benchmarks/results/statistics.json

(The file is not called `statistics.py`: scripts beside it would then import it for the library's module.)
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from prefbench.api import FloatArray, Scores
from prefbench.files import write_atomic
from prefbench.metrics.fid import frechet_distance
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.stats.bootstrap import crossed_bootstrap

USERS, PROMPTS, REPLICATES = 10_000, 100, 10_000
NAIVE = 20
"""Replicates of the slow way that are timed."""
WIDTH = 2048


@click.command()
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=1, show_default=True, help="Of the distances.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(threads: int, rounds: int, out: Path | None) -> None:
    """Prints seconds, peak memory, ratios and how far the distances are from the usual route's."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        shapes = {shape: pool.apply(bootstrap, (shape, threads)) for shape in ("shared prompts", "own prompts")}
    with threadpool_limits(threads):
        distances = {f"n = {n}": distance(n, rounds) for n in (1000, 3000)}
    result = {
        "command": portable(shlex.join(["python", *sys.argv])),
        "threads": threads,
        "crossed_bootstrap": {"rows": USERS * PROMPTS, "users": USERS, "replicates": REPLICATES, **shapes},
        "frechet_distance": {"d": WIDTH, "rounds": rounds, **distances},
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    text = json.dumps(result, indent=1)
    click.echo(text)
    if out is not None:
        write_atomic(out, text + "\n")


def bootstrap(shape: str, threads: int) -> dict[str, Any]:
    """Seconds and peak memory of one interval, and how many times faster a replicate is than by copying rows."""
    user = np.repeat(np.arange(USERS), PROMPTS)
    prompt = np.tile(np.arange(PROMPTS), USERS) if shape == "shared prompts" else np.arange(USERS * PROMPTS)
    rng = np.random.default_rng(0)
    values = rng.standard_normal(USERS)[user] + rng.standard_normal(len(user))
    scores = Scores(values, np.char.add("user-", user.astype(str)), np.char.add("prompt-", prompt.astype(str)))
    with threadpool_limits(threads):
        seconds = _seconds(lambda: crossed_bootstrap(scores, replicates=REPLICATES))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        slow = _seconds(lambda: _by_rows(user, prompt if shape == "shared prompts" else None, values, rng)) / NAIVE
    return {
        "wall_seconds": round(seconds, 2),
        "peak_memory_gib": round(peak, 2),
        "times_faster_than_by_rows": round(slow * REPLICATES / seconds, 1),
    }


def _by_rows(
    user: NDArray[np.int64], prompt: NDArray[np.int64] | None, values: FloatArray, rng: np.random.Generator
) -> None:
    """Replicates that weigh every row by how often its user and its prompt were drawn."""
    for _ in range(NAIVE):
        weights = np.bincount(rng.integers(USERS, size=USERS), minlength=USERS)[user].astype(np.float64)
        if prompt is not None:
            weights *= np.bincount(rng.integers(PROMPTS, size=PROMPTS), minlength=PROMPTS)[prompt]
        weights @ values / weights.sum()


def distance(n: int, rounds: int) -> dict[str, Any]:
    """Seconds of both routes, their ratio, and their differences relative to a third route, by eigenvalues."""
    rng = np.random.default_rng(n)
    scale = np.linspace(0.2, 2, WIDTH)
    x, y = rng.standard_normal((n, WIDTH)) * scale, rng.standard_normal((n, WIDTH)) * scale[::-1] + 0.1
    found: dict[str, float] = {}
    times: dict[str, list[float]] = {"ours": [], "sqrtm": []}
    for _ in range(rounds):
        for name, route in (("ours", frechet_distance), ("sqrtm", _by_root)):
            started = time.perf_counter()
            found[name] = route(x, y)
            times[name].append(time.perf_counter() - started)
    exact = _by_eigenvalues(x, y)
    ours, root = (float(np.median(times[name])) for name in ("ours", "sqrtm"))
    return {
        "wall_seconds": round(ours, 2),
        "sqrtm_wall_seconds": round(root, 2),
        "times_faster_than_sqrtm": round(root / ours, 1),
        "relative_error": abs(found["ours"] / exact - 1),
        "relative_error_of_sqrtm": abs(found["sqrtm"] / exact - 1),
    }


def _by_root(x: FloatArray, y: FloatArray) -> float:
    """As most implementations do it: covariances, then the root of their product."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.asarray(scipy.linalg.sqrtm(a @ b)).real
    return float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root))


def _by_eigenvalues(x: FloatArray, y: FloatArray) -> float:
    """The trace of the root from eigenvalues of the product of the smaller, symmetric matrices."""
    a, b = ((s - s.mean(axis=0)) / np.sqrt(len(s) - 1) for s in (x, y))
    cross = a @ b.T if len(x) <= WIDTH else scipy.linalg.sqrtm(a.T @ a).real @ b.T
    eigenvalues = np.linalg.eigvalsh(cross @ cross.T).clip(0)
    # Centring costs each side a dimension, whose eigenvalue is rounding alone; a root would make it count.
    roots = np.sqrt(eigenvalues[1:] if len(x) <= WIDTH else eigenvalues).sum()
    shift = x.mean(axis=0) - y.mean(axis=0)
    return float(shift @ shift + (a * a).sum() + (b * b).sum() - 2 * roots)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
