"""`prefdisc-like`: the language model of `ours`, taught by scorer users, as a scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefbench.api import History, PrefbenchError, Split, User, Viewer
from prefbench.methods.ours.prefdisc_like import PrefdiscLike
from prefbench.methods.ours.train import prefdisc_training
from prefbench.methods.ours.train.prefdisc_training import scorer_users, train
from prefbench.methods.ours.train.question_recipe import QuestionRecipe
from prefbench.training.loop import FitConfig
from prefbench.training.requests import TrainRequest
from tests.support import tiny_suite
from tests.support.tiny_suite import TinySuite, history

pytestmark = pytest.mark.slow
"""A language model is trained, a tiny one."""

SHORT = FitConfig(images=4, batch=2, warmup_steps=1)


class JudgedSuite(TinySuite):
    """The tiny suite with three scorer users, one of whom judged too little."""

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"scorer-{i}", "scorer") for i in range(3)] if split == "scorer" else super().users(split)

    def history(self, user: str, viewer: Viewer = "method") -> History:
        split, _, number = user.partition("-")
        if split != "scorer":
            return history(user, int(number), 6)  # both sides of every prompt
        return history(user + viewer * (viewer == "scorer"), int(number), 1 if number == "2" else 4)


SUITE = f"{Path(__file__)}:JudgedSuite"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, idefics2: Path) -> Path:
    root = tmp_path_factory.mktemp("prefdisc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefdisc_training, "_recipe", _short)
        card = train(TrainRequest(root), suite=SUITE, mllm=str(idefics2))
    assert card is not None
    assert (card["data"]["users"], card["figures"]["n_users"]) == (2, 3)
    assert list(card["training"]) == ["sorting", "verdicts", "questions"]
    return root / "final"


def _short(images: int | None) -> QuestionRecipe:
    recipe = prefdisc_training.MINIATURE
    return replace(
        recipe, describing=SHORT, sorting=SHORT, verdicts=SHORT, questions=replace(SHORT, images=images or 4)
    )


def test_it_learns_from_both_views_of_scorer_users_and_from_nobody_else() -> None:
    users = scorer_users(JudgedSuite())
    assert [one.history.user for one in users] == ["scorer-0", "scorer-1"]
    assert [len(one.history.liked) for one in users] == [8, 8]
    assert len({judgment.picture.digest for one in users for judgment in one.history.liked}) == 16
    assert not any((one.likes, one.shows) != ((), {}) for one in users)


def test_a_score_depends_on_history_and_picture_and_not_on_the_other_pictures(folder: Path) -> None:
    scorer, rng = PrefdiscLike(folder=str(folder)), np.random.default_rng(0)
    pictures = [np.full((16, 16, 3), 0, np.uint8), np.full((16, 16, 3), 255, np.uint8)]
    pictures.append(rng.integers(0, 256, (16, 16, 3), np.uint8))
    prompts = [tiny_suite.PROMPTS[0]] * 3
    scores = scorer.score(history("test-0", 0, 3), prompts, pictures)
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()
    apart = np.abs(np.diff(np.sort(scores))).min()
    assert apart > 0
    alone = scorer.score(history("test-0", 0, 3), prompts[:1], pictures[2:])
    assert abs(alone[0] - scores[2]) < 0.1 * apart
    assert np.abs(scorer.score(history("test-1", 1, 3), prompts, pictures) - scores).max() > 0.1 * apart
    assert scorer.score(History("nobody", (), ()), prompts, pictures).shape == (3,)
    assert scorer.score(history("test-0", 0, 3), [], []).shape == (0,)
    assert scorer.id.startswith("prefdisc-like@1@")


def test_what_cannot_be_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="train prefdisc-like"):
        PrefdiscLike(folder=str(tmp_path / "nowhere")).score(history("a", 0, 2), ["x"], [np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(PrefbenchError, match="2 prompts"):
        PrefdiscLike(folder=str(folder)).score(history("a", 0, 2), ["x", "y"], [np.zeros((8, 8, 3), np.uint8)])
    no_scorers: dict[str, Any] = {"suite": f"{tiny_suite.__file__}:TinySuite"}
    with pytest.raises(PrefbenchError, match="has no scorer user"):
        train(TrainRequest(tmp_path), **no_scorers)
    with pytest.raises(PrefbenchError, match="populations must be at least 1"):
        train(TrainRequest(tmp_path), populations=0)
