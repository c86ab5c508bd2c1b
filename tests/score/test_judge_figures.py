"""The card of a pairwise judge on a suite whose judgments can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prefbench.api import PairScorer, PrefbenchError
from prefbench.score.figures import checked_figures
from prefbench.score.judge_figures import measure_judge
from prefbench.score.scorer_pairs import judged_pairs
from tests.support.colours import ColourSuite
from tests.support.judges import Brighter, Stranger

SUITE = ColourSuite()


class Knows(Brighter):
    """Prefers what the user of the history liked, whatever the place."""

    def prefer_first(self, history: Any, _: Any, first: Any, second: Any) -> Any:
        own = LIKED.get(history.user, set())
        sides = [[picture.tobytes() in own for picture in side] for side in (first, second)]
        return 0.5 + 0.4 * (np.array(sides[0], float) - np.array(sides[1], float))


PAIRS = judged_pairs(SUITE, "test")
LIKED = {user.user: {p.tobytes() for p, like in zip(user.pixels, user.liked, strict=True) if like} for user in PAIRS}


def test_a_judge_that_knows_the_user_is_right_and_admitted() -> None:
    figures = measure_judge(Knows(), SUITE)
    assert (figures.within_user_accuracy.value, figures.population.value) == (1.0, 0.5)
    assert figures.position_bias.value == pytest.approx(0)
    assert figures.disagreement.value == 0
    assert figures.n_pairs == sum(len(user.pairs) for user in PAIRS)
    assert figures.above_population.value == 0.5
    assert checked_figures(figures.to_json())["admitted"] == figures.admitted


@pytest.mark.parametrize("lean", [1e3, -1e3])
def test_a_judge_that_names_one_place_is_half_right_whatever_place_it_is(lean: float) -> None:
    figures = measure_judge(Brighter(lean=lean), SUITE)
    assert (figures.within_user_accuracy.value, figures.disagreement.value) == (0.5, 1.0)
    assert figures.position_bias.value == np.sign(lean) / 2
    assert not figures.admitted


def test_a_judge_without_a_user_gains_nothing_from_one() -> None:
    figures = measure_judge(Brighter(), SUITE)
    assert figures.above_population.value == 0
    assert figures.above_permuted.value == 0
    assert not figures.admitted


def test_a_judge_that_refuses_an_empty_history_guesses_without_a_user_and_a_crash_is_no_refusal() -> None:
    class Refuses(Knows):
        def prefer_first(self, history: Any, *asked: Any) -> Any:
            if not history.liked:
                raise PrefbenchError("needs likes")
            return super().prefer_first(history, *asked)

    class Crashes(Knows):
        def prefer_first(self, history: Any, *asked: Any) -> Any:
            return super().prefer_first(history, *asked) * (1 // len(history.liked) or 1)

    class Empty(Knows):
        def prefer_first(self, history: Any, *asked: Any) -> Any:
            return super().prefer_first(history, *asked) * (1.0 if history.liked else np.nan)

    assert measure_judge(Refuses(), SUITE) == measure_judge(Knows(), SUITE)
    for judge, said in ((Crashes(), "ZeroDivisionError"), (Empty(), "not a probability")):
        with pytest.raises(PrefbenchError, match=said):
            measure_judge(judge, SUITE)


def test_accuracies_are_what_asking_pair_by_pair_gives() -> None:
    judge: PairScorer = Stranger()
    right = []
    for user in PAIRS:
        history = SUITE.history(user.user, "scorer")
        for a, b in user.pairs:
            forth = judge.prefer_first(history, [""], [user.pixels[a]], [user.pixels[b]])[0]
            back = 1 - judge.prefer_first(history, [""], [user.pixels[b]], [user.pixels[a]])[0]
            right.append(0.5 if (forth - 0.5) * (back - 0.5) <= 0 else float(forth > 0.5))
    by_user = np.split(np.array(right), np.cumsum([len(user.pairs) for user in PAIRS])[:-1])
    expected = np.mean([own.mean() for own in by_user])
    assert measure_judge(judge, SUITE).within_user_accuracy.value == pytest.approx(expected)
