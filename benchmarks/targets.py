"""How much train users would like what an injection learns to draw for them: a table and a JSON file.

    python benchmarks/targets.py --mllm mini-mllm --result benchmarks/results/targets-mini-mllm.json

By the world's own utility, which no trainer sees: of the pictures that a user likes (`likes`), of those that the user
chose from a pair (`chosen`), and of what a language model picks among several candidates of a prompt, after one history
as the injection draws them (`picks after a history`) or after all that the user judged (`picks after all`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from prefbench.api import FloatArray, History, Judgment, PrefbenchError
from prefbench.files import write_atomic
from prefbench.methods.ours.train.conversations import judgments
from prefbench.methods.ours.train.history_states import draw_histories
from prefbench.methods.ours.train.injection_recipe import MINIATURE
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.shared.picks import PICKING, Picking, picks
from prefbench.models.mllms.loader import load_mllm
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions
from prefbench.stats import mean_interval
from prefbench.suites.picturebook.suite import Picturebook

CANDIDATES = (16, 64, 128, 256)
PROMPTS = 6


@click.command()
@click.option("--mllm", default="mini-mllm", show_default=True, help="A registered name or a folder.")
@click.option("--users", default=100, show_default=True, help="The first train users.")
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(mllm: str, users: int, result: Path | None) -> None:
    """Prints the mean utility over users of each kind of target; 0 is that of random pictures, 1 the best there is."""
    torch.set_num_threads(1)
    suite: Picturebook = load("suite", "picturebook")()
    everyone = suite.train_users()
    judged_images, some = JudgedImages(everyone), everyone[:users]
    pool = [judgment for one in everyone for judgment in judgments(one)]
    images, prompts = [judged_images.images[judged_images.row(j)] for j in pool], [j.prompt for j in pool]
    wholes = [one.history for one in some]
    after_one = [one.history for one in draw_histories(some, replace(MINIATURE, histories=1))]
    model = load_mllm(mllm)
    rows = {"likes": _of([whole.liked for whole in wholes], wholes, suite)}
    rows["chosen"] = _of([[j for j in whole.liked if j.pair is not None] for whole in wholes], wholes, suite)
    for name, shown in (("after a history", after_one), ("after all", wholes)):
        for candidates in CANDIDATES:
            how = Picking(prompts=PROMPTS, candidates=candidates, together=PICKING.together)
            chosen = picks(model, shown, images, prompts, how=how)
            rows[f"picks {name}, {candidates}"] = _of([[pool[i] for i in own] for own in chosen], wholes, suite)
    table = []
    for name, values in rows.items():
        low, high = mean_interval(values)
        table.append({"targets": name, "utility": float(values.mean()), "low": low, "high": high, "users": len(values)})
        click.echo(f"{name:28s} {values.mean():.3f} [{low:.3f}, {high:.3f}]")
    if result is not None:
        content = {"mllm": Path(mllm).name, "rows": table, "code": code_state()}
        write_atomic(result, json.dumps(content | {"hardware": hardware(), "versions": versions()}, indent=1) + "\n")


def _of(targets: Sequence[Sequence[Judgment]], users: Sequence[History], suite: Picturebook) -> FloatArray:
    """The mean utility of each user's targets, of users who have any."""
    found = []
    for user, own in tqdm(list(zip(users, targets, strict=True)), desc="utility", unit="user"):
        if own:
            pixels: list[NDArray[np.uint8]] = [np.asarray(j.picture.load()) for j in own]
            utility = suite.truth.utility(user.user, [j.prompt for j in own], pixels)["total"]
            found.append(float(np.mean(utility)))
    return np.array(found)


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"targets: {error}") from error
