"""How much train users would like what an injection learns to draw for them: a table and a JSON file.

    python benchmarks/targets.py --mllm mini-mllm --result benchmarks/results/targets-mini-mllm.json

By the world's own utility, which no trainer sees: of the pictures that a user likes (`likes`), of those that the user
chose from a pair (`chosen`), and of what a language model picks of each of six prompts, after one history as the
injection draws them: the best of several candidates by its verdicts, these chosen by its verdicts on phrases (`picks`)
or at random (`picks, no phrases`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from prefbench.api import Estimate, History, Judgment, PrefbenchError, Scores
from prefbench.files import write_atomic
from prefbench.methods.ours.train.conversations import judgments
from prefbench.methods.ours.train.history_states import draw_histories
from prefbench.methods.ours.train.injection_recipe import MINIATURE
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.shared.picks import Picker, Picking
from prefbench.models.mllms.loader import load_mllm
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions
from prefbench.stats.means import mean_interval
from prefbench.suites.picturebook.suite import Picturebook

CANDIDATES = (1, 4, 16, 64)
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
    judged_images, shown_users = JudgedImages(everyone), everyone[:users]
    pool = list({j.picture.digest: j for one in everyone for j in judgments(one)}.values())
    place = {judgment.picture.digest: i for i, judgment in enumerate(pool)}
    images, prompts = [judged_images.load(judgment) for judgment in pool], [judgment.prompt for judgment in pool]
    wholes = [one.history for one in shown_users]
    histories = [one.history for one in draw_histories(shown_users, replace(MINIATURE, histories=1, flipped=0.0))]
    shows = {digest: phrases for one in everyone for digest, phrases in one.shows.items()}
    picker = Picker(load_mllm(mllm), images, prompts, [shows.get(judgment.picture.digest, ()) for judgment in pool])
    told = picker.phrases(histories)
    rows = {"likes": _of([whole.liked for whole in wholes], wholes, suite)}
    rows["chosen"] = _of([[j for j in whole.liked if j.pair is not None] for whole in wholes], wholes, suite)
    for name, phrases in (("picks", told), ("picks, no phrases", [np.zeros_like(one) for one in told])):
        for candidates in CANDIDATES:
            how = Picking(prompts=PROMPTS, candidates=candidates)
            picked = []
            for i, history in enumerate(tqdm(histories, desc=name, unit="user")):
                judged = {place[j.picture.digest] for j in (*wholes[i].liked, *wholes[i].disliked)}
                picked.append([pool[row] for row in picker(history, phrases[i], how=how, without=judged)])
            rows[f"{name}, {candidates}"] = _of(picked, wholes, suite)
    for name, mean in rows.items():
        click.echo(f"{name:28s} {mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]")
    if result is not None:
        content = {"mllm": Path(mllm).name, "rows": {name: asdict(mean) for name, mean in rows.items()}}
        content |= {"code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def _of(targets: Sequence[Sequence[Judgment]], users: Sequence[History], suite: Picturebook) -> Estimate:
    """The mean utility of each user's targets, over users who have any."""
    values: list[float] = []
    for user, own in tqdm(list(zip(users, targets, strict=True)), desc="utility", unit="user"):
        pixels: list[NDArray[np.uint8]] = [np.asarray(j.picture.load()) for j in own]
        values += suite.truth.utility(user.user, [j.prompt for j in own], pixels)["total"].tolist() if own else []
    names = [user.user for user, own in zip(users, targets, strict=True) for _ in own]
    prompts = [judgment.prompt for own in targets for judgment in own]
    return mean_interval(Scores(np.array(values), np.array(names), np.array(prompts)))


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"targets: {error}") from error
