"""How far two searches of the same histories agree: the utility of the best style by the posteriors of two seeds.

    python benchmarks/posterior.py --result benchmarks/results/posterior.json

For every user the style that the posterior finds best is taken for each prompt of the user's cases, as `inferred` draws
it, and valued by the user's true taste. Nothing is drawn, and nothing read from pictures: what differs between seeds is
Monte Carlo error alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
import numpy as np

from prefbench.api import FloatArray, Split
from prefbench.files import write_atomic
from prefbench.run.environment import code_state, hardware, versions
from prefbench.suites.picturebook.users.inference import infer
from prefbench.suites.picturebook.users.likelihood import judged_styles
from prefbench.suites.picturebook.users.population import SimulatedUser, population
from prefbench.suites.picturebook.users.posterior import Posterior
from prefbench.suites.picturebook.users.worlds import WORLDS, World

HISTORY = 8
"""Judgments a side, as methods see them by default."""
SEEDS = (0, 1)


@click.command()
@click.option("--world", type=click.Choice(list(WORLDS)), default="2", show_default=True)
@click.option("--split", type=click.Choice(get_args(Split)), default="val", show_default=True)
@click.option("--users", type=click.IntRange(min=2), help="Only the first so many users.")
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(world: str, split: Split, users: int | None, result: Path | None) -> None:
    """Prints and writes the mean utility by each seed, and how far the seeds differ."""
    people = population(split, WORLDS[world])[:users]
    start = time.process_time()
    utilities = np.array([[utility(user, WORLDS[world], seed) for seed in SEEDS] for user in people])
    seconds = (time.process_time() - start) / utilities.size
    content = {
        "world": world, "split": split, "users": len(people), "history": HISTORY, **agreement(utilities),
        "kinds": {kind: _mean_of(people, utilities, kind) for kind in sorted({user.kind for user in people})},
        "processor_seconds_per_search": round(seconds, 2),
        "code": code_state(), "hardware": hardware(), "versions": versions(),
    }  # fmt: skip
    click.echo("  ".join(f"{name} {value}" for name, value in content.items() if name not in ("hardware", "versions")))
    if result is not None:
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def agreement(utilities: FloatArray) -> dict[str, object]:
    """The mean utility (users, seeds) by each seed, their difference, and the standard deviation of such differences.

    Users' differences are independent, so that of their mean is theirs over the root of the number of users.
    """
    differences = utilities[:, 0] - utilities[:, 1]
    return {
        "utility": utilities.mean(axis=0).tolist(),
        "difference": float(differences.mean()),
        "standard_deviation_of_a_user": float(np.sqrt((differences**2).mean())),
        "standard_deviation_of_the_mean": float(np.sqrt((differences**2).mean() / len(differences))),
    }


def utility(user: SimulatedUser, world: World, seed: int) -> float:
    """The mean over the prompts of the user's cases."""
    posterior = _posterior(user, world, seed)
    return float(np.mean([
        user.taste_on(prompt.content).of_styles(np.array([posterior.best_style(prompt.content, prompt.fixed)]))[0]
        for prompt in user.prompts()
    ]))  # fmt: skip


def _posterior(user: SimulatedUser, world: World, seed: int) -> Posterior:
    judged = user.judged("method")
    shown = judged.latest(HISTORY) if user.kind == "drifting" else judged.earliest(HISTORY)
    return infer(judged_styles(shown.liked, shown.disliked, world), world=world, seed=seed)


def _mean_of(people: Sequence[SimulatedUser], utilities: FloatArray, kind: str) -> float:
    return float(utilities[[user.kind == kind for user in people]].mean())


if __name__ == "__main__":
    main()
