"""How well a language model tells what unseen users like, beside the best that is possible: a table and a JSON file.

    python benchmarks/liking.py --mllm mini-mllm --result benchmarks/results/liking-mini-mllm.json

The images are those of picturebook's scorer view, which no method sees. A user judges with noise, so nobody is
always right: `taste` answers by the user's exact utility (liked where it is above the mean), and `exact inference` by
the posterior mean of the utility given the history that the model is shown, under the world's own choice model; defects
cost there what they cost the mean user. `two matrices` are a preference model without language that was learned from
the train users' judgments, over what the same vision tower sees: what the history tells without a language model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import torch

from prefbench.api import FloatArray, History, PrefbenchError, Split
from prefbench.files import write_atomic
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.train.quality import LikeAnswers, like_answers, order_sensitivity
from prefbench.methods.shared.questions import Examples
from prefbench.methods.shared.taste_reader import TasteReader
from prefbench.methods.shared.trained_adapter import MllmEyes
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.probing import Liking
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.population import JudgedScene, SimulatedUser
from prefbench.suites.picturebook.users.quality import severity
from prefbench.suites.picturebook.users.shares import defect_levels, true_utilities

Knowing = Callable[[Sequence[JudgedScene]], FloatArray]
"""Utilities (N,) of judged scenes to one user."""


@click.command()
@click.option("--mllm", default="mini-mllm", show_default=True, help="A registered name or a folder.")
@click.option("--split", type=click.Choice(get_args(Split)), default="test", show_default=True)
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(mllm: str, split: Split, result: Path | None) -> None:
    """Prints balanced accuracy and AUC within users, for all and for each kind, and the sensitivity to order."""
    torch.set_num_threads(1)
    suite: Picturebook = load("suite", "picturebook")()
    model = load_mllm(mllm)
    own = like_answers(model, suite, split)
    others = {
        "two matrices": _matrices(own, suite, split, model),
        "taste": _answered(own, suite, split, lambda user, _: partial(true_utilities, user)),
        "exact inference": _answered(own, suite, split, lambda user, history: _expected(suite, user, history)),
    }
    rows = []
    for kind in (None, *sorted(set(own.kinds.tolist()))):
        for name, found in {"language model": own, **others}.items():
            row = {"kind": kind or "all", "answered by": name, **_plain(found.accuracy(kind))}
            rows.append(row)
            click.echo(
                f"{row['kind']:12s} {name:16s} accuracy {_shown(row['accuracy'])}  AUC {_shown(row['auc'])}"
                f"  n {row['accuracy']['n_users']}"
            )
    order = order_sensitivity(model, suite, split)
    click.echo(f"answers that another order turns {order.answers:.3f}, states' variance by order {order.states:.3f}")
    if result is not None:
        content = {
            "mllm": Path(mllm).name,
            "split": split,
            "rows": rows,
            "order": asdict(order),
            "code": code_state(),
            "hardware": hardware(),
            "versions": versions(),
        }
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def _answered(
    own: LikeAnswers, suite: Picturebook, split: Split, knower: Callable[[SimulatedUser, History], Knowing]
) -> LikeAnswers:
    """The same questions, answered yes where what `knower` knows of the user puts the image above the mean of all."""
    answers: dict[tuple[str, str], float] = {}
    for user in (suite._find(one.id) for one in suite.users(split)):
        utility = knower(user, suite.history(user.id))
        judged, rest = user.judged("scorer"), suite.history(user.id, "scorer")
        for scenes, judgments in ((judged.liked, rest.liked), (judged.disliked, rest.disliked)):
            values = utility(scenes).tolist()
            answers |= {(user.id, j.picture.digest): v for j, v in zip(judgments, values, strict=True)}
    return _ordered(own, answers)


def _ordered(own: LikeAnswers, answers: Mapping[tuple[str, str], float]) -> LikeAnswers:
    """Answers by user and image, above 0 for yes, in the order of the questions."""
    asked = own.questions
    value = np.array([answers[key] for key in zip(asked.users.tolist(), asked.images.tolist(), strict=True)])
    return LikeAnswers(asked, value + 0.5, own.kinds)


def _matrices(own: LikeAnswers, suite: Picturebook, split: Split, model: Mllm) -> LikeAnswers:
    train_users = suite.train_users()
    reader = TasteReader.learn(train_users, JudgedImages(train_users), MllmEyes(model))
    answers: dict[tuple[str, str], float] = {}
    for user in suite.users(split):
        rest = suite.history(user.id, "scorer")
        asked = [*rest.liked, *rest.disliked]
        likes = reader.likes(reader.user(Examples.of(suite.history(user.id))), [one.picture.load() for one in asked])
        answers |= {(user.id, one.picture.digest): like for one, like in zip(asked, likes.tolist(), strict=True)}
    return _ordered(own, answers)


def _expected(suite: Picturebook, user: SimulatedUser, history: History) -> Knowing:
    posterior = suite.truth.posterior(history)
    table = lru_cache(posterior.mean_utility)

    def utility(scenes: Sequence[JudgedScene]) -> FloatArray:
        of_styles = np.array([table(one.scene.content)[one.scene.style] for one in scenes])
        return np.asarray(of_styles - user.world.quality * severity(defect_levels(scenes)))

    return utility


def _plain(found: Liking) -> dict[str, Any]:
    return {"accuracy": asdict(found.accuracy), "auc": asdict(found.auc)}


def _shown(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"liking: {error}") from error
