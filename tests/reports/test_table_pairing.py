"""Scores of several runs are brought onto the same keys."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.api import Scores
from prefbench.reports.shared.paired import on_same_keys


def scores(**values: float) -> Scores:
    keys = np.array(list(values))
    return Scores(np.array(list(values.values())), np.char.add("user-", keys), np.char.add("prompt-", keys), keys)


def test_the_same_keys_are_sorted_and_others_are_missing() -> None:
    a, b = on_same_keys(scores(c=3, a=1, b=2), scores(c=30, a=10, b=20))
    assert [one.values.tolist() for one in (a, b)] == [[1, 2, 3], [10, 20, 30]]
    assert a.users.tolist() == ["user-a", "user-b", "user-c"]
    a, b, c = on_same_keys(scores(b=2, a=1), scores(c=30, a=10), scores(a=100))
    assert np.array_equal(a.values, [1, 2, np.nan], equal_nan=True)
    assert np.array_equal(b.values, [10, np.nan, 30], equal_nan=True)
    assert np.array_equal(c.values, [100, np.nan, np.nan], equal_nan=True)
    assert c.keys is not None
    assert c.keys.tolist() == ["a", "b", "c"]
    assert c.prompts.tolist() == ["prompt-a", "prompt-b", "prompt-c"]


def test_a_key_that_stands_twice_counts_once() -> None:
    twice = Scores(np.array([1.0, 2.0]), np.array(["u", "u"]), np.array(["p", "p"]), np.array(["k", "k"]))
    (one,) = on_same_keys(twice)
    assert one.values.tolist() == [2.0]


def test_scores_without_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="without keys"):
        on_same_keys(scores(a=1), Scores(np.ones(1), np.array(["u"]), np.array(["p"])))
