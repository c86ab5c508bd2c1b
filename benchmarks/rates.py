"""How often 95 % intervals hold the truth, and how often tests call equal methods different, in made-up studies.

Of means and paired differences, metrics over sets, strengths and ranks, each at 5, 10, 20, 30 and 100 users x 4, 10 and
20 prompts, without and with effects of users and of prompts, skewed ones included. Seeded; a cell repeats by itself.
Cells that hold under 92 % or reject over 7 % beyond chance are named at the end, and exit code 1 says that there are
some; cells of skewed effects that tables mark are not among them:

    python -m benchmarks.rates --out benchmarks/results/rates.json
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

import click
import numpy as np
from scipy.special import ndtr

from benchmarks.crossed import LeftOut, kernel_without_each
from benchmarks.studies import EFFECTS, SET_EFFECTS, SKEWED, SetStudy, faults, nothing, set_study, study
from prefbench.api import FeatureSet, Scores, SetMetric
from prefbench.files import write_atomic
from prefbench.metrics.fid import FrechetDistance
from prefbench.metrics.kid import KernelInceptionDistance
from prefbench.metrics.mmd import GaussianDistance
from prefbench.metrics.shared.kernel_distance import KernelDistance
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.score.sets import WITHOUT_KEYS, jackknife
from prefbench.stats.jackknife import jackknife_half_width, jackknife_test
from prefbench.stats.joint import rank_intervals
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import paired_difference
from prefbench.stats.permutation import label_swap
from prefbench.stats.strengths import UnlinkedError, bradley_terry, strengths
from prefbench.stats.trust import are_few, has_few_groups

Cell = dict[str, Any]
USERS, PROMPTS = (5, 10, 20, 30, 100), (4, 10, 20)
SET_METRICS: dict[str, SetMetric] = {
    "fid": FrechetDistance(), "kid": KernelInceptionDistance(), "mmd": GaussianDistance(),
}  # fmt: skip
METHODS = np.array([0.0, 0.2, 0.6])
"""Means of the methods whose strengths are fitted."""
SPREADS = {"nothing but noise": (0.0, 0.0), "users": (0.5, 0.0), "users and prompts": (0.3, 0.6)}
"""Standard deviations of a method's users and prompts beside noise of 1, where methods are compared."""
_SWAPS, _FLIPS, _EQUAL = 49, 300, 4


@click.command()
@click.option("--only", type=click.Choice(["means", "differences", "sets", "strengths", "ranks"]), multiple=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(only: Sequence[str], out: Path | None) -> None:
    """Prints every cell as it is done, and last those that miss their limits."""
    measured: dict[str, list[Cell]] = {}
    for name in only or PARTS:
        measured[name] = []
        for arguments in PARTS[name].cells():
            cell = PARTS[name].measure(*arguments)
            measured[name].append({key: int(v) if isinstance(v, np.integer) else v for key, v in cell.items()})
            click.echo(f"{name} {json.dumps(measured[name][-1])}")
    command = portable(shlex.join(["python", "-m", "benchmarks.rates", *sys.argv[1:]]))
    about = {"code": code_state(), "hardware": hardware(), "versions": versions()}
    if out is not None:
        write_atomic(out, json.dumps({"command": command, **measured, **about}, indent=1) + "\n")
    missed = [fault for name, cells in measured.items() for cell in cells for fault in faults(name, cell)]
    click.echo("\n".join(missed) or "every cell keeps its limits, or is marked")
    sys.exit(bool(missed))


class Part:
    """One kind of number: its cells, and how one is measured."""

    def __init__(self, measure: Callable[..., Cell], *dimensions: Sequence[Any]) -> None:
        self.measure, self._dimensions = measure, dimensions

    def cells(self) -> Iterator[tuple[Any, ...]]:
        """The arguments of every cell."""
        return product(*self._dimensions)


def generator(*cell: Any) -> np.random.Generator:
    """The random numbers of a cell, its own whatever was measured before."""
    return np.random.default_rng(crc32(repr(cell).encode()))


def studies(effects: str, users: int, prompts: int) -> int:
    """How many studies a cell has: more of skewed effects without a mark, which lie near the limits."""
    return 2000 if effects in SKEWED and not are_few(users, prompts) else 1000


def means(effects: str, users: int, prompts: int) -> Cell:
    """The intervals of means that hold 0, and those that carry the mark of few groups."""
    rng, held, marked = generator("means", effects, users, prompts), 0, 0
    n = studies(effects, users, prompts)
    for _ in range(n):
        one = mean_interval(as_scores(study(rng, users, prompts, effects)))
        held += one.low is not None and one.high is not None and one.low <= 0 <= one.high
        marked += has_few_groups(one)
    return {"effects": effects, "users": users, "prompts": prompts, "n": n, "held": held, "marked": marked}


def differences(effects: str, users: int, prompts: int) -> Cell:
    """Paired differences of mean 0: how many are called different, and how many intervals there are."""
    rng, rejected, intervals, marked = generator("differences", effects, users, prompts), 0, 0, 0
    n = studies(effects, users, prompts)
    for i in range(n):
        scores = as_scores(study(rng, users, prompts, effects))
        one = paired_difference(scores, nothing(scores), replicates=_FLIPS, seed=i)
        rejected += one.p_value is not None and one.p_value < 0.05
        intervals += one.estimate.low is not None
        marked += has_few_groups(one.estimate)
    counts = {"n": n, "rejected": rejected, "intervals": intervals, "marked": marked}
    return {"effects": effects, "users": users, "prompts": prompts, **counts}


def sets(metric: str, effects: str, users: int, prompts: int, n: int | None = None) -> Cell:
    """Two equal methods: contrasts that are called different, intervals of differences and of values that hold.

    The truth of a value is its mean over these studies. `too_wide` is the mean estimate of the variance of the
    difference over its variance in these studies.
    """
    rng, n = generator("sets", metric, effects, users, prompts), n or set_studies(users * prompts)
    rejected = held = 0
    values, halves, differences_, errors = [], [], [], []
    for _ in range(n):
        drawn = set_study(rng, users, prompts, SET_EFFECTS[effects])
        first, second = (left_out(SET_METRICS[metric], one, drawn.reference) for one in (drawn.first, drawn.second))
        without = [first.users - second.users, first.prompts - second.prompts]
        test = jackknife_test(first.value - second.value, [w.tolist() for w in without])
        half = jackknife_half_width([first.users.tolist(), first.prompts.tolist()])
        assert test is not None
        assert half is not None
        held += abs(first.value - second.value) <= test.half_width
        rejected += test.p_value < 0.05 and swap_p_value(SET_METRICS[metric], drawn) < 0.05
        values.append(first.value)
        halves.append(half)
        differences_.append(first.value - second.value)
        errors.append(sum((len(w) - 1) * float(np.var(w)) for w in without))
    held_values = int((np.abs(np.array(values) - np.mean(values)) <= halves).sum())
    counts = {"n": n, "rejected": rejected, "held": held, "held_values": held_values}
    ratio = round(float(np.mean(errors) / np.var(differences_)), 2)
    return {"metric": metric, "effects": effects, "users": users, "prompts": prompts, **counts, "too_wide": ratio}


def set_studies(images: int) -> int:
    """How many studies of so many images are made: fewer of large ones, which take seconds each."""
    return 300 if images <= 400 else 150 if images <= 600 else 80 if images <= 1000 else 40


def left_out(metric: SetMetric, drawn: FeatureSet, reference: FeatureSet) -> LeftOut:
    """A metric's value, and its values without each group of users and without each prompt."""
    if isinstance(metric, KernelDistance):
        return kernel_without_each(metric.kernel(reference), drawn, reference)
    without = jackknife(metric, drawn, reference)
    of_users, of_prompts = (
        np.array([v for k, v in without.items() if k.startswith(prefix)], dtype=np.float64) for prefix in WITHOUT_KEYS
    )
    return LeftOut(metric.compare(drawn, reference), of_users, of_prompts)


def swap_p_value(metric: SetMetric, drawn: SetStudy) -> float:
    """The p value of the label swap over users."""
    users = len(np.unique(drawn.first.users))
    return label_swap(users, metric.resampling.permuted_difference(*drawn), replicates=_SWAPS)


def fitted_strengths(effects: str, users: int, prompts: int, n: int = 1000) -> Cell:
    """Intervals of the strength of one of three methods; studies whose wins link all methods count."""
    rng, spread = generator("strengths", effects, users, prompts), SPREADS[effects]
    won = ndtr((METHODS[:, None] - METHODS) / np.sqrt(2 * (1 + spread[0] ** 2 + spread[1] ** 2)))
    truth = bradley_terry(won * (1 - np.eye(len(METHODS))))
    held = counted = 0
    for i in range(n):
        tables = competing(rng, METHODS, users, prompts, effects)
        try:
            one = list(strengths({str(k): table for k, table in enumerate(tables)}).values())[i % len(METHODS)]
        except UnlinkedError:
            continue
        assert one.low is not None
        assert one.high is not None
        counted += 1
        held += one.low <= truth[i % len(METHODS)] <= one.high
    return {"effects": effects, "users": users, "prompts": prompts, "n": counted, "held": held, "unlinked": n - counted}


def ranks(effects: str, users: int, prompts: int, n: int = 1000) -> Cell:
    """Four equal methods, whose rank intervals hold all ranks from 1 to 4 but where a test errs."""
    rng, held = generator("ranks", effects, users, prompts), 0
    for i in range(n):
        tables = competing(rng, np.zeros(_EQUAL), users, prompts, effects)
        found = rank_intervals({str(k): table for k, table in enumerate(tables)}, replicates=_FLIPS, seed=i)
        held += all((one.low, one.high) == (1, _EQUAL) for one in found.values())
    return {"effects": effects, "users": users, "prompts": prompts, "n": n, "held": held}


def competing(
    rng: np.random.Generator, of_methods: np.ndarray[Any, Any], users: int, prompts: int, effects: str
) -> list[Scores]:
    """Methods with these means, each with effects of its own of users and of prompts."""
    (by_user, by_prompt), k = SPREADS[effects], len(of_methods)
    shapes = (k, users, 1), (k, 1, prompts), (k, users, prompts)
    of_user, of_prompt, noise = (rng.standard_normal(shape) for shape in shapes)
    return [as_scores(t) for t in of_methods[:, None, None] + by_user * of_user + by_prompt * of_prompt + noise]


def as_scores(table: np.ndarray[Any, Any]) -> Scores:
    """A whole table (users, prompts) as scores."""
    users, prompts = (np.arange(n).astype(str) for n in table.shape)
    return Scores(table.ravel(), np.repeat(users, len(prompts)), np.tile(prompts, len(users)))


PARTS = {
    "means": Part(means, [*EFFECTS, *SKEWED], USERS, PROMPTS),
    "differences": Part(differences, [*EFFECTS, *SKEWED], USERS, PROMPTS),
    "strengths": Part(fitted_strengths, list(SPREADS), USERS, PROMPTS),
    "ranks": Part(ranks, list(SPREADS), USERS, PROMPTS),
    "sets": Part(sets, list(SET_METRICS), list(SET_EFFECTS), USERS, PROMPTS),
}

if __name__ == "__main__":
    main()
