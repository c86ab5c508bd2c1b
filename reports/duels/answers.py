"""What a judge answered, kept in the work folder so that the same command goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from prefbench.api import History, PairScorer, Sample, ScoredRun, to_pixels
from prefbench.api.stored import FORMAT, STRICT, Digest
from prefbench.run.journal import Journal, Owner
from prefbench.run.row_kinds import RowKind
from prefbench.score.both_orders import BothOrders, ask_in_both_orders

Pair = tuple[Sample, Sample]
"""A sample of a run, and the baseline's of the same user, case and index."""
_AT_ONCE = 16
"""Pairs that are asked before their answers are stored."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """P(first) of one pair in both orders."""

    __pydantic_config__ = STRICT

    pair: Digest
    shown_first: Annotated[float, Ge(0), Le(1)]
    shown_second: Annotated[float, Ge(0), Le(1)]


_ROWS = RowKind(_Answer)


class Answers:
    """The answers of one judge below a folder: one file per judge with its weights and settings."""

    def __init__(self, folder: Path, judge: PairScorer) -> None:
        self._judge = judge
        owner = hashlib.sha256(judge.id.encode()).hexdigest()[:16]
        self._journal = Journal(folder, f"{owner}.jsonl", Owner(FORMAT, owner), _ROWS)

    def ask(
        self,
        pairs: Sequence[Pair],
        runs: tuple[ScoredRun, ScoredRun],
        history_of: Callable[[str], History],
        advance: Callable[[int], object],
    ) -> BothOrders:
        """The answers to these pairs, in their order; what was answered before is not asked again.

        Args:
            runs: where the first and the second samples of the pairs come from.
            history_of: the judgments of a user, as the judge sees them.
            advance: is told of further pairs done.
        """
        questions: dict[str, str] = {}
        for user in dict.fromkeys(own.user for own, _ in pairs):
            history, of_user = history_of(user), [pair for pair in pairs if pair[0].user == user]
            for start in range(0, len(of_user), _AT_ONCE):
                some = of_user[start : start + _AT_ONCE]
                named = [_question(history, own, other) for own, other in some]
                questions.update((own.key, question) for (own, _), question in zip(some, named, strict=True))
                self._ask(history, dict(zip(named, some, strict=True)), runs)
                advance(len(some))
        answers = [self._known[questions[own.key]] for own, _ in pairs]
        return BothOrders(*(np.array([getattr(a, name) for a in answers]) for name in ("shown_first", "shown_second")))

    @cached_property
    def _known(self) -> dict[str, _Answer]:
        self._journal.folder.mkdir(parents=True, exist_ok=True)
        return {row.pair: row for row in self._journal.rows()}

    def _ask(self, history: History, asked: dict[str, Pair], runs: tuple[ScoredRun, ScoredRun]) -> None:
        fresh = {question: pair for question, pair in asked.items() if question not in self._known}
        sides = [[to_pixels(run.image(str(pair[i].image))) for pair in fresh.values()] for i, run in enumerate(runs)]
        both = ask_in_both_orders(self._judge, history, [own.prompt for own, _ in fresh.values()], *sides)
        values = zip(fresh, both.shown_first.tolist(), both.shown_second.tolist(), strict=True)
        rows = [_Answer(*row) for row in values]
        self._journal.append(rows)
        self._known.update({row.pair: row for row in rows})


def _question(history: History, own: Sample, other: Sample) -> str:
    """Names what is asked: the user's judgments, the prompt, the two pictures in their order."""
    asked = json.dumps([history.digest, own.prompt, own.image, other.image])
    return hashlib.sha256(asked.encode()).hexdigest()
