"""Quality figures of the cards: answers about held-out users, and utility of the images drawn for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from prefbench.api import Context, FloatArray, History, Request, Split, Suite, TrainUser, to_pixels
from prefbench.files import WEIGHTS
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.probing import Liking, ProbeLabels, liking_of
from prefbench.registry import load
from prefbench.training.figures import QualityFigure

from ...shared.questions import Examples, likes_question
from ...shared.verdicts import Verdicts
from ..method import PrefGen

_BATCH = 20
_ORDERS = 4
_EACH_SIDE = 8
"""Judgments of each side before phrases are asked about."""
_STRANGERS, _ASKED = 99, 200
"""Population that nothing was learned from, and how many of its users are asked about."""
_DRAWN: dict[str, tuple[float | None, float]] = {
    "utility": (0.30, 0.43),
    "utility/own": (None, 0.4),
    "utility/worded": (None, 0.5),
    "utility/semantic": (None, 0.4),
    "utility/silent": (None, 0.3),
    "prompt fidelity/object": (0.90, 0.95),
    "prompt fidelity/setting": (0.90, 0.95),
    "prompt fidelity/words": (None, 0.95),
}
"""Floor and goal of what is drawn; words are the style words that half of the prompts name."""


@dataclass(frozen=True)
class LikeAnswers:
    """The language model's answers about judged images that it was not shown, one row per image."""

    questions: ProbeLabels
    yes: FloatArray
    """(N,): P(yes) / (P(yes) + P(no))."""
    kinds: NDArray[np.str_]
    """The kind of user of each row."""

    def accuracy(self, kind: str | None = None) -> Liking:
        """AUC and balanced accuracy within users, of all or of one kind; P(yes) over 1/2 counts as yes."""
        own = np.ones(len(self.yes), dtype=np.bool_) if kind is None else self.kinds == kind
        every = self.questions
        questions = ProbeLabels(every.liked[own], every.users[own], every.prompts[own], every.images[own])
        return liking_of(self.yes[own] - 0.5, questions)


def like_answers(
    mllm: Mllm, suite: Suite, split: Split, *, seed: int | None = None, most: int | None = None
) -> LikeAnswers:
    """The model's verdicts, after each user's history, of the images that only scorers see.

    Args:
        seed: shuffles both sides of every history; None shows them as the suite does.
        most: images per side that each user is asked about; None for all.
    """
    users, verdicts = suite.users(split), Verdicts(mllm)
    queries, yes = [], []
    examples = [_shown(suite.history(user.id), seed, number) for number, user in enumerate(users)]
    answers = [""] * len(users)
    if verdicts.reads_answers:
        answers = mllm.answers([likes_question(one) for one in examples], tokens=48, batch=_BATCH)
    for user, one, answer in zip(users, examples, answers, strict=True):
        rest = suite.history(user.id, "scorer")
        judgments = (*rest.liked[:most], *rest.disliked[:most])
        queries += [(user, judgment) for judgment in judgments]
        yes.append(verdicts.after(one, answer, [judgment.picture.load() for judgment in judgments]))
    questions = ProbeLabels(
        liked=np.array([judgment.liked for _, judgment in queries]),
        users=np.array([user.id for user, _ in queries]),
        prompts=np.array([judgment.prompt for _, judgment in queries]),
        images=np.array([judgment.picture.digest for _, judgment in queries]),
    )
    return LikeAnswers(questions, np.concatenate(yes), np.array([user.kind for user, _ in queries]))


@dataclass(frozen=True)
class OrderSensitivity:
    """How much answers and states depend on the order of a history, which should not matter.

    Args:
        answers: share of the questions whose answer differs between two random orders.
        states: share of the variance of the last layer's last state that is due to order, not to users.
    """

    answers: float
    states: float


def order_sensitivity(mllm: Mllm, suite: Suite, split: Split, *, orders: int = _ORDERS) -> OrderSensitivity:
    """Order sensitivity of answers and states, over random orders of every history."""
    yes = np.stack([like_answers(mllm, suite, split, seed=seed, most=2).yes > 0.5 for seed in range(orders)])
    pairs = [(yes[i] != yes[j]).mean() for i in range(orders) for j in range(i)]
    histories = [suite.history(user.id) for user in suite.users(split)]
    states = torch.stack(
        [
            mllm.states([likes_question(_shown(h, seed, i)) for i, h in enumerate(histories)], batch=_BATCH).last[:, -1]
            for seed in range(orders)
        ]
    )  # (orders, users, W)
    within = states.var(0).sum(1).mean()
    between = (states.mean(0).var(0).sum() - within / orders).clamp(min=0)
    return OrderSensitivity(float(np.mean(pairs)), float(within / (within + between)))


def phrase_verdicts(mllm: Mllm, train_users: Sequence[TrainUser]) -> float:
    """AUC within users of the model's verdicts on phrases that they like or dislike, after eight judgments a side.

    nan where it judges none of their phrases.
    """
    place = {phrase: i for i, phrase in enumerate(mllm.card.judged_phrases)}
    told = [[[place[p] for p in side if p in place] for side in (one.likes, one.dislikes)] for one in train_users]
    asked = [(one.history, sides) for one, sides in zip(train_users, told, strict=True) if all(sides)]
    shown = [Examples.of(History(h.user, h.liked[:_EACH_SIDE], h.disliked[:_EACH_SIDE])) for h, _ in asked]
    verdicts = mllm.states([likes_question(one) for one in shown], batch=_BATCH).verdicts if asked else None
    if verdicts is None:
        return float("nan")
    rows = zip(verdicts.double().numpy(), (sides for _, sides in asked), strict=True)
    aucs = [roc_auc_score(np.repeat([1, 0], [*map(len, sides)]), own[[*sides[0], *sides[1]]]) for own, sides in rows]
    return float(np.mean(aucs))


def mini_mllm(folder: Path = WEIGHTS / "mini-mllm") -> list[QualityFigure]:
    """Verdicts on the val users' unseen images, and on phrases of users that no training met; how far order matters.

    The goal of verdicts is .95 of what exact inference reaches from the same histories, .816.
    """
    mllm, suite = load_mllm(folder, device="cpu"), _suite()
    liking, order = like_answers(mllm, suite, "val").accuracy(), order_sensitivity(mllm, suite, "val")
    strangers: Suite = load("suite", "picturebook")(population=_STRANGERS)
    phrases = phrase_verdicts(mllm, strangers.train_users()[:_ASKED])
    return [
        QualityFigure("liked from disliked, balanced accuracy", _value(liking.accuracy.value), 0.60, 0.72),
        QualityFigure("liked from disliked, AUC within users", _value(liking.auc.value), 0.65, 0.776),
        QualityFigure("liked from disliked phrases, AUC within users", phrases, 0.75, 0.9),
        QualityFigure("answers that another order turns", order.answers, None, 0.05, ceiling=True),
        QualityFigure("share of the states' variance by order", order.states, None, 0.05, ceiling=True),
    ]


def ours_mini_sd(folder: Path = WEIGHTS / "ours-mini-sd") -> list[QualityFigure]:
    """Utility of what is drawn for the val users, one sample per case; 0 is the mean of the world's prior."""
    suite, backbone = _suite(), load_backbone("mini-sd", device="cpu")
    truth = suite.truth
    assert truth is not None
    method = PrefGen(weights=str(folder))
    method.setup(Context(backbone))
    readings: dict[str, list[float]] = defaultdict(list)
    for number, user in enumerate(suite.users("val")):
        profile, cases = method.profile(suite.history(user.id)), suite.cases(user.id)
        requests = [Request(case, 0, 100 * number + i, profile) for i, case in enumerate(cases)]
        images = [to_pixels(drawing.image) for drawing in method.generate(requests)]
        prompts = [case.prompt for case in cases]
        scores = {
            "utility": truth.utility(user.id, prompts, images),
            "prompt fidelity": truth.fidelity(prompts, images),
        }
        for score, parts in scores.items():
            for part, values in parts.items():
                readings[score if part == "total" else f"{score}/{part}"].extend(map(float, values))
    return [QualityFigure(name, float(np.nanmean(readings[name])), *bounds) for name, bounds in _DRAWN.items()]


def _value(value: float | None) -> float:
    return float("nan") if value is None else value


def _suite() -> Suite:
    suite: Suite = load("suite", "picturebook")()
    return suite


def _shown(history: History, seed: int | None, number: int) -> Examples:
    if seed is None:
        return Examples.of(history)
    rng = np.random.default_rng([seed, number])
    liked, disliked = (
        tuple(side[int(i)] for i in rng.permutation(len(side))) for side in (history.liked, history.disliked)
    )
    return Examples.of(History(history.user, liked, disliked))
