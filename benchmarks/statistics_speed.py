"""How fast the statistics are: intervals and tests of a million rows, the Frechet distance at 2,048 dimensions.

The mean with its interval and the paired difference with its test, in both shapes that a benchmark takes: 10,000 users
who share 100 prompts, and 10,000 users with 100 prompts of their own. The distance against the usual route, a matrix
root by `scipy.linalg.sqrtm`. Seconds are wall times of one machine, which others may use meanwhile; the ratios are
measured in one process, in turns. Every shape runs in a process of its own, so that its peak memory is its own:

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
from threadpoolctl import threadpool_limits

from prefbench.api import FloatArray, Scores
from prefbench.files import write_atomic
from prefbench.metrics.fid import frechet_distance
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference

USERS, PROMPTS = 10_000, 100
WIDTH = 2048


@click.command()
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=1, show_default=True, help="Of the distances.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(threads: int, rounds: int, out: Path | None) -> None:
    """Prints seconds, peak memory, ratios and how far the distances are from the usual route's."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        shapes = {shape: pool.apply(of_means, (shape, threads)) for shape in ("shared prompts", "own prompts")}
    with threadpool_limits(threads):
        distances = {f"n = {n}": distance(n, rounds) for n in (1000, 3000)}
    result = {
        "command": portable(shlex.join(["python", *sys.argv])),
        "threads": threads,
        "means": {"rows": USERS * PROMPTS, "users": USERS, **shapes},
        "frechet_distance": {"d": WIDTH, "rounds": rounds, **distances},
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    text = json.dumps(result, indent=1)
    click.echo(text)
    if out is not None:
        write_atomic(out, text + "\n")


def of_means(shape: str, threads: int) -> dict[str, Any]:
    """Seconds of an interval and of a paired test of a million rows, and peak memory."""
    user = np.repeat(np.arange(USERS), PROMPTS)
    prompt = np.tile(np.arange(PROMPTS), USERS) if shape == "shared prompts" else np.arange(USERS * PROMPTS)
    names = np.char.add("user-", user.astype(str)), np.char.add("prompt-", prompt.astype(str))
    rng = np.random.default_rng(0)
    one, other = (Scores(rng.standard_normal(USERS)[user] + rng.standard_normal(len(user)), *names) for _ in range(2))
    with threadpool_limits(threads):
        mean, difference = _seconds(lambda: mean_interval(one)), _seconds(lambda: paired_difference(one, other))
    return {
        "mean_wall_seconds": round(mean, 2),
        "difference_wall_seconds": round(difference, 2),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


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
