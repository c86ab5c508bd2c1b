"""A judge asked in both orders: answers that name different pictures are a tie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prefbench.api import History, PrefbenchError
from prefbench.score.both_orders import BothOrders, ask_in_both_orders
from tests.support.judges import Brighter

NOBODY = History("nobody", (), ())


def flat(*levels: int) -> list[Any]:
    return [np.full((4, 4, 3), level, np.uint8) for level in levels]


def test_a_judge_without_a_lean_names_the_same_picture_in_both_orders() -> None:
    asked = ask_in_both_orders(Brighter(), NOBODY, ["p"] * 3, flat(9, 50, 7), flat(50, 9, 7))
    assert asked.wins.tolist() == [0.0, 1.0, 0.5]
    assert asked.differ.tolist() == [0.0, 0.0, 1.0]
    np.testing.assert_allclose(asked.position_bias, 0, atol=1e-12)
    np.testing.assert_allclose(asked.shown_first, asked.shown_second)


def test_a_judge_that_names_a_place_has_ties_alone() -> None:
    asked = ask_in_both_orders(Brighter(lean=1e3), NOBODY, ["p"] * 2, flat(9, 50), flat(50, 9))
    assert asked.wins.tolist() == [0.5, 0.5]
    assert asked.position_bias.tolist() == [0.5, 0.5]
    second = ask_in_both_orders(Brighter(lean=-1e3), NOBODY, ["p"] * 2, flat(9, 50), flat(50, 9))
    assert second.position_bias.tolist() == [-0.5, -0.5]


def test_a_small_lean_leaves_clear_pairs_alone_and_ties_close_ones() -> None:
    asked = ask_in_both_orders(Brighter(lean=1.0), NOBODY, ["p"] * 2, flat(200, 60), flat(20, 59))
    assert asked.wins.tolist() == [1.0, 0.5]
    assert (asked.position_bias > 0).all()


def test_answers_that_differ_from_one_half_by_rounding_prefer_neither() -> None:
    even = BothOrders(np.array([0.5 + 1e-9, 0.6]), np.array([0.5 + 1e-9, 0.5 - 1e-9]))
    assert even.wins.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([0.5], r"answered 2 pairs with float64 \(1,\)"),
        ([[0.5], [0.5]], r"answered 2 pairs with float64 \(2, 1\)"),
        (["a", "b"], "answered 2 pairs with <U1"),
        ([0.5, np.nan], "answered with nan to nan, not a probability"),
        ([0.5, 1.5], "answered with 0.5 to 1.5, not a probability"),
    ],
)
def test_what_is_no_probability_per_pair_is_one_line(answers: list[Any], said: str) -> None:
    class Odd(Brighter):
        def prefer_first(self, *_: Any) -> Any:
            return answers

    with pytest.raises(PrefbenchError, match=f"^scorer 'brighter' {said}"):
        ask_in_both_orders(Odd(), NOBODY, ["p"] * 2, flat(1, 2), flat(3, 4))


def test_what_a_judge_raises_names_it() -> None:
    class Broken(Brighter):
        def prefer_first(self, *_: Any) -> Any:
            raise ValueError("no luck")

    with pytest.raises(PrefbenchError, match=r"scorer 'brighter'.*no luck"):
        ask_in_both_orders(Broken(), NOBODY, ["p"], flat(1), flat(3))


def test_no_pairs_are_asked_nothing() -> None:
    before = Brighter.asked
    assert len(ask_in_both_orders(Brighter(), NOBODY, [], [], []).wins) == 0
    assert Brighter.asked == before
