"""The conformance checks of pairwise judges, on made-up pictures and histories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from prefbench.api import Features, History, PairScorer, Pixels, PrefbenchError, counted
from prefbench.check.cards import check_scorer_id
from prefbench.check.findings import Check, fail, skip, warn
from prefbench.check.made_up import PROMPTS, made_up_history
from prefbench.check.scored_pictures import agree, weights_here
from prefbench.score.both_orders import BothOrders, ask_in_both_orders


class PairScorerChecks:
    """Six pairs of pictures: noise and plain colours of several shapes, two pictures of one prompt each."""

    def __init__(self, judge: PairScorer) -> None:
        rng = np.random.default_rng(0)
        noise = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((32, 32), (24, 40), (32, 32))]
        plain = [np.full((32, 32, 3), level, np.uint8) for level in (0, 90, 200)]
        self._judge = judge
        self._first: list[Pixels] = [*noise, *plain]
        self._second: list[Pixels] = [*plain[::-1], *noise[::-1]]
        self._prompts = [PROMPTS[i // 2] for i in range(len(self._first))]
        self._history, self._other = made_up_history("val-0000"), made_up_history("val-0001")

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        return {
            "id": lambda: check_scorer_id(self._judge),
            "probabilities": self.probabilities,
            "repeats": self.repeats,
            "batches": self.batches,
            "order of pairs": self.order,
            "history": self.history,
            "empty history": self.empty,
            "inputs untouched": self.untouched,
        }

    def unchecked(self) -> dict[str, Check]:
        """The same names, for a judge whose weights are not here."""
        return dict.fromkeys(self.all(), partial(skip, "needs the weights"))

    def weights(self) -> str:
        """They are here, or one line says that they are not."""
        return weights_here(lambda: self._ask(self._history, [0]))

    def probabilities(self) -> str:
        """One per pair and order; an answer that never changes, and one place that always wins, are said."""
        asked = self._both(self._history)
        bias = float(asked.position_bias.mean())
        if asked.differ.all():
            warn(f"every pair is a tie once both orders are asked; position bias {bias:.3f}")
        return f"{counted(len(self._first), 'pair')}, {int(asked.differ.sum())} ties, position bias {bias:.3f}"

    def repeats(self) -> str:
        """The same again gets equal answers."""
        if not np.array_equal(self._ask(self._history), self._ask(self._history)):
            fail("the same pairs got other answers")
        return "equal"

    def batches(self) -> str:
        """Pairs one by one get what they get together."""
        alone = [self._ask(self._history, [i])[0] for i in range(len(self._first))]
        return agree(self._ask(self._history), np.array(alone))

    def order(self) -> str:
        """Reversed pairs get the reversed answers, also after another user's."""
        rows, before = range(len(self._first)), self._ask(self._history)
        self._ask(self._other)
        return agree(before, self._ask(self._history, rows[::-1])[::-1])

    def history(self) -> str:
        """A personal judge's answers follow the history, another one's do not; nobody's follow the user's name."""
        mine = self._ask(self._history)
        agree(mine, self._ask(History("val-0002", self._history.liked, self._history.disliked)))
        moved = float(np.abs(self._ask(self._other) - mine).max())
        if self._judge.card.personal and moved == 0:
            fail("the card says personal, but another history changes nothing")
        if not self._judge.card.personal and moved > 0:
            fail(f"the card says not personal, but the history moves an answer by {moved:.3g}")
        return f"another history moves answers by up to {moved:.3g}"

    def empty(self) -> str:
        """Without judgments there are answers, or one line that says why not."""
        try:
            self._ask(History("val-0000", (), ()))
        except PrefbenchError as error:
            if "\n" in str(error):
                fail(f"what is wrong must be said in one line: {str(error)!r}"[:200])
            return "refused"
        return "answers"

    def untouched(self) -> str:
        """Asking changes nothing that it was given."""
        first, second = ([one.copy() for one in side] for side in (self._first, self._second))
        prompts = [*self._prompts]
        history, twin = made_up_history("val-0000"), made_up_history("val-0000")
        self._judge.prefer_first(history, prompts, first, second)
        pairs = zip([*first, *second], [*self._first, *self._second], strict=True)
        if prompts != self._prompts or any(not np.array_equal(a, b) for a, b in pairs):
            fail("the judge changed its pictures or prompts")
        # The digest is remembered and would not show a change.
        if history != twin:
            fail("the judge changed the history")
        return "pictures, prompts and history"

    def _ask(self, history: History, rows: Sequence[int] | range | None = None) -> Features:
        """The answers in one order."""
        return self._both(history, rows).shown_first

    def _both(self, history: History, rows: Sequence[int] | range | None = None) -> BothOrders:
        """The answers about copies, so that no check sees what a judge did in another."""
        rows = range(len(self._first)) if rows is None else rows
        sides = [[side[i].copy() for i in rows] for side in (self._first, self._second)]
        return ask_in_both_orders(self._judge, history, [self._prompts[i] for i in rows], *sides)
