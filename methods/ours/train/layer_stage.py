"""The second stage of `prefbench train ours`: two probes choose the layers that a user embedding is taken from.

Users of the `val` split, whom no training has seen. Each user's history is split in two: the probes recognise a user's
other half among users (inter-user), and predict the labels of one half after reading the other (intra-user).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prefbench.api import FloatArray, History, Judgment, PrefbenchError, Suite
from prefbench.files import atomic_file
from prefbench.models.mllms.conversation import Conversation
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.states import HiddenStates
from prefbench.probing import (
    LIKING_ACCURACY,
    VERIFICATION,
    ProbedLayer,
    ProbeLabels,
    StatePair,
    probe_liking,
    probe_users,
    table,
)

from ...shared.questions import TEMPLATES, Examples, follow_up, judged_next, likes_question, load_judged
from ..vectors import Layers, Pooling
from .layer_choices import Asked, chosen_layers
from .layer_figure import draw_layers

POOLINGS: tuple[Pooling, ...] = ("last", "mean", "contrast")
_AT_PICTURES = POOLINGS[:2]
"""A contrast is of the history alone, whatever picture is asked about."""
TABLE, FIGURE = "probing.csv", "probing.png"
_FOLDS = 5
"""Folds of users by which `probing` whitens their states; a gallery is drawn from one fold."""


@dataclass(frozen=True)
class Probed:
    """How layers are chosen: of at most `sem` by the intra-user probe and `core` others by the inter-user probe.

    Args:
        repeats: times that users are halved anew; choices are made by means over all halves.
        gallery: users for retrieval.
    """

    core: int = 1
    gallery: int = 10
    batch: int = 16
    sem: int = 4
    repeats: int = 5


PROBED = Probed()


def choose(mllm: Mllm, suite: Suite, folder: Path, how: Probed = PROBED) -> tuple[Layers, dict[str, Any]]:
    """Probes every layer; returns the chosen layers, and the record of the choice with others to compare it with.

    `e_sem` is of the layers whose last-token states tell a user's likes from dislikes better than chance and than
    states after another user's history. Where there are none it falls back to the paper's rule, the top four, and the
    record says so. `e_core` is of the layer outside these that tells users apart best.

    Writes `probing.csv` and `probing.png` into `folder`.

    Raises:
        PrefbenchError: too few `val` users with histories of two judgments per side.
    """
    histories = [suite.history(user.id) for user in suite.users("val")]
    halves = [half for half in map(_halved, histories) if half is not None]
    needed = max(20, _FOLDS * how.gallery)
    if len(halves) < needed:
        raise PrefbenchError(
            f"choosing layers needs {needed} val users with two likes and two dislikes, suite {suite.card.name!r} has"
            f" {len(halves)}"
        )
    pairs = _pairs(mllm, halves, how)
    users = probe_users(pairs, floor=_floor_of_users(mllm, halves, how), gallery=how.gallery, comparison="whitened")
    asked = _asked(mllm, halves, how)
    liked = probe_liking(asked.own, asked.labels, floor=asked.floor, mismatched=asked.other, types=asked.labels.prompts)
    layers, record = chosen_layers(mllm.layers, pairs, asked, how, phrases=bool(mllm.card.phrases))
    rows = [*users, *liked]
    with atomic_file(folder / TABLE) as temporary:
        table(rows).to_csv(temporary, index=False)
    draw_layers(rows, folder / FIGURE, choice={VERIFICATION: layers.core, LIKING_ACCURACY: layers.sem})
    return layers, {"users": len(halves), **record}


_Halves = tuple[History, History]


def _halved(history: History) -> _Halves | None:
    """Every second judgment of each side; None where there are too few."""
    if min(len(history.liked), len(history.disliked)) < 2:
        return None
    first, second = (History(history.user, history.liked[i::2], history.disliked[i::2]) for i in (0, 1))
    return first, second


def _pairs(mllm: Mllm, halves: Sequence[_Halves], how: Probed) -> dict[ProbedLayer, StatePair]:
    sides = [mllm.states([likes_question(Examples.of(half[i])) for half in halves], batch=how.batch) for i in (0, 1)]
    first, second = (_places(states, POOLINGS) for states in sides)
    return {place: StatePair(first[place], second[place]) for place in first}


def _floor_of_users(mllm: Mllm, halves: Sequence[_Halves], how: Probed) -> StatePair:
    """The content floor: the last layer's mean state over the same images, all of them shown as liked."""
    examples = [[Examples.of(History(h[i].user, (*h[i].liked, *h[i].disliked), ())) for h in halves] for i in (0, 1)]
    states = [mllm.states([likes_question(s) for s in side], batch=how.batch) for side in examples]
    return StatePair(*(side.mean[:, -1].double().numpy() for side in states))


def _asked(mllm: Mllm, halves: Sequence[_Halves], how: Probed) -> Asked:
    queries = [(i, judgment) for i, (_, rest) in enumerate(halves) for judgment in (*rest.liked, *rest.disliked)]
    questions = ProbeLabels(
        liked=np.array([judgment.liked for _, judgment in queries]),
        users=np.array([halves[i][0].user for i, _ in queries]),
        prompts=np.array([judgment.prompt for _, judgment in queries]),
        images=np.array([judgment.picture.digest for _, judgment in queries]),
    )
    examples = [Examples.of(first) for first, _ in halves]
    in_turn = mllm.judges_in_turn
    answers = [""] * len(examples)
    if not in_turn:
        answers = mllm.answers([likes_question(one) for one in examples], batch=how.batch)

    def at(shown: Examples, answer: str, judgment: Judgment, user: str) -> Conversation:
        picture = load_judged(judgment, user)
        return judged_next(shown, picture) if in_turn else follow_up(shown, answer, TEMPLATES.like[0], picture)

    def after(history: int, judgment: Judgment, user: str) -> Conversation:
        return at(examples[history], answers[history], judgment, user)

    users = [halves[i][0].user for i, _ in queries]
    own = [after(i, judgment, user) for (i, judgment), user in zip(queries, users, strict=True)]
    other = [after((i + 1) % len(halves), judgment, user) for (i, judgment), user in zip(queries, users, strict=True)]
    nobody = Examples((), ())
    alone = [at(nobody, TEMPLATES.nothing, judgment, user) for (_, judgment), user in zip(queries, users, strict=True)]
    states, strangers, floor = (
        mllm.states(conversations, batch=how.batch, before_word=in_turn) for conversations in (own, other, alone)
    )
    after_own, after_other = (_places(one, _AT_PICTURES) for one in (states, strangers))
    return Asked(after_own, after_other, floor.last[:, -1].double().numpy(), questions)


def _places(states: HiddenStates, poolings: Sequence[Pooling]) -> dict[ProbedLayer, FloatArray]:
    pooled = {"last": states.last, "mean": states.mean, "contrast": states.contrast}
    layers = range(states.last.shape[1])
    return {ProbedLayer(layer, name): pooled[name][:, layer].double().numpy() for name in poolings for layer in layers}
