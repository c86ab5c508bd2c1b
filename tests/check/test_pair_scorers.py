"""The conformance suite of pairwise judges finds each breach, and passes judges without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from prefbench.api import Features, History, PairScorer, Pixels, PrefbenchError
from prefbench.check import check_scorer
from tests.support.judges import Brighter, Stranger

_COUNTER = count()


class Random(Brighter):
    def prefer_first(self, *_: Any) -> Features:
        return np.random.default_rng(next(_COUNTER)).random(len(_[1]))


class Relative(Brighter):
    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        answers = super().prefer_first(history, prompts, first, second)
        return answers / answers.max()


class Claims(Brighter):
    card = replace(Brighter.card, personal=True)


class Denies(Stranger):
    card = replace(Stranger.card, personal=False)


class Paints(Brighter):
    def prefer_first(
        self, history: History, prompts: Sequence[str], first: Sequence[Pixels], second: Sequence[Pixels]
    ) -> Features:
        answers = super().prefer_first(history, prompts, first, second)
        first[0][:] = 0
        return answers


class NoHash(Brighter):
    id = "brighter@1"


class Crashes(Brighter):
    def prefer_first(self, *_: Any) -> Features:
        raise ValueError("no luck")


BROKEN: list[tuple[type[PairScorer], set[str]]] = [
    (Random, {"repeats", "batches", "order of pairs", "history"}),
    (Relative, {"batches"}),
    (Claims, {"history"}),
    (Denies, {"history"}),
    (Paints, {"inputs untouched"}),
    (NoHash, {"id"}),
]


@pytest.mark.parametrize(("judge", "broken"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_judge_fails_the_rule_that_it_breaks(judge: type[PairScorer], broken: set[str]) -> None:
    assert {one.check for one in check_scorer(judge) if one.outcome == "FAILED"} == broken


@pytest.mark.parametrize("judge", [Brighter, Stranger])
def test_a_judge_that_keeps_the_contract_passes(judge: type[PairScorer]) -> None:
    findings = check_scorer(judge)
    assert [one for one in findings if not one.passed] == []


def test_a_judge_that_names_a_place_is_said_so() -> None:
    findings = {one.check: one for one in check_scorer(Brighter, ["lean=1000"])}
    assert findings["probabilities"].outcome == "warning"
    assert "position bias 0.500" in findings["probabilities"].detail


def test_what_a_judge_raises_names_it_and_nothing_else_is_said_to_hold() -> None:
    findings = {one.check: one for one in check_scorer(Crashes)}
    assert "no luck" in findings["weights"].detail
    assert {one.outcome for name, one in findings.items() if name in ("probabilities", "history")} <= {"not applicable"}


def test_what_is_neither_kind_of_scorer_is_refused() -> None:
    with pytest.raises(PrefbenchError, match="PairScorer"):
        check_scorer(History)  # type: ignore[arg-type]
