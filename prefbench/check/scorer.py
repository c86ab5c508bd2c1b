"""The conformance suite of scorers, on made-up pictures and histories; where weights are absent, it says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from prefbench.api import (
    CrossFittedScorer,
    Features,
    History,
    Judgment,
    PairScorer,
    Pixels,
    PrefbenchError,
    Scorer,
    counted,
)
from prefbench.check.cards import check_defaults, check_scorer_card, check_scorer_id, registered_name
from prefbench.check.findings import Check, Finding, Listener, fail, run_checks, skip, warn
from prefbench.check.made_up import PROMPTS, made_up_history
from prefbench.check.pair_scorer import PairScorerChecks
from prefbench.check.scored_pictures import agree, weights_here
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import construct, load


def check_scorer(
    scorer: str | type[Scorer | PairScorer],
    parameters: Sequence[str] = (),
    *,
    listener: Listener = lambda _: None,
) -> list[Finding]:
    """Checks a scorer or pairwise judge: card, values, that pictures do not influence each other, and histories.

    Weights that are absent are a warning, provided that one line says so; what needs them is then not applicable.

    Args:
        scorer: a registered name, path/to/file.py:Class, or the class.
        parameters: of the scorer, as `name=value`.
        listener: receives each finding as soon as its check ends.

    Raises:
        PrefbenchError: an unknown name or parameter, or an object that is no `Scorer` and no `PairScorer`.
    """
    constructor: object = load("scorer", scorer) if isinstance(scorer, str) else scorer
    if not (isinstance(constructor, type) and issubclass(constructor, Scorer | PairScorer)):
        raise PrefbenchError(f"{scorer} is not a subclass of prefbench.api.Scorer or PairScorer")
    findings = run_checks({"parameters": partial(check_defaults, constructor, parameters)}, listener)
    if not findings[0].passed:
        return findings
    instance: Scorer | PairScorer = construct(
        f"scorer {scorer!r}", constructor, bind(constructor, parse_pairs(parameters))
    )
    card: dict[str, Check] = {"card": partial(check_scorer_card, constructor, registered_name(scorer))}
    findings += run_checks(card, listener)
    if not findings[-1].passed:
        return findings
    checks = PairScorerChecks(instance) if isinstance(instance, PairScorer) else ScorerChecks(instance)
    (weights,) = run_checks({"weights": checks.weights}, listener)
    if not weights.passed:
        return [*findings, weights]
    rest = checks.all() if weights.outcome == "ok" else checks.unchecked()
    return [*findings, weights, *run_checks(rest, listener)]


class ScorerChecks:
    """Six pictures: noise of two shapes, plain colors; two have the same pixels and different prompts."""

    def __init__(self, scorer: Scorer) -> None:
        rng = np.random.default_rng(0)
        noise = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((32, 32), (24, 40), (32, 32))]
        plain = [np.full((32, 32, 3), level, np.uint8) for level in (0, 200)]
        self._scorer = scorer
        self._pictures: list[Pixels] = [*noise, *plain, noise[0]]
        self._prompts = [PROMPTS[i // 2] for i in range(len(self._pictures))]
        self._history, self._other = made_up_history("val-0000"), made_up_history("val-0001")

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        scorer = self._scorer
        return {
            "id": self.id,
            "values": self.values,
            "repeats": self.repeats,
            "batches": self.batches,
            "order of pictures": self.order,
            "users in turn": self.turns,
            "history": self.history,
            "empty history": self.empty,
            "inputs untouched": self.untouched,
            **({"across people": partial(self.people, scorer)} if isinstance(scorer, CrossFittedScorer) else {}),
        }

    def unchecked(self) -> dict[str, Check]:
        """The same names, for a scorer whose weights are not here."""
        return dict.fromkeys(self.all(), partial(skip, "needs the weights"))

    def weights(self) -> str:
        """They are here, or one line says that they are not."""
        return weights_here(lambda: self._score(self._history, [0]))

    def id(self) -> str:
        """Name, version and a SHA-256, the same at every look."""
        return check_scorer_id(self._scorer)

    def values(self) -> str:
        """One finite number in [0, 1] per picture."""
        values = self._score(self._history)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            fail(f"values are float64, got {getattr(values, 'dtype', type(values).__name__)}")
        if values.shape != (len(self._pictures),):
            fail(f"values {values.shape} for {counted(len(self._pictures), 'picture')}")
        wrong = values[~(np.isfinite(values) & (values >= 0) & (values <= 1))]
        if len(wrong):
            fail(f"{wrong[0]:.6g} is not within 0 and 1")
        if np.ptp(values) == 0:
            warn(f"every picture got {values[0]:.4g}")
        return f"{counted(len(values), 'picture')}, {values.min():.4g} to {values.max():.4g}"

    def repeats(self) -> str:
        """The same again gets equal values."""
        if not np.array_equal(self._score(self._history), self._score(self._history)):
            fail("the same pictures got other values")
        return "equal"

    def batches(self) -> str:
        """Pictures one by one get what they get together."""
        alone = [self._score(self._history, [i])[0] for i in range(len(self._pictures))]
        return agree(self._score(self._history), np.array(alone))

    def order(self) -> str:
        """Reversed pictures get the reversed values."""
        rows = range(len(self._pictures))
        return agree(self._score(self._history), self._score(self._history, rows[::-1])[::-1])

    def turns(self) -> str:
        """A user's values are the same after another user's."""
        before = self._score(self._history)
        self._score(self._other)
        return agree(before, self._score(self._history))

    def history(self) -> str:
        """A personal scorer's values follow the history, another one's do not; nobody's follow the user's name."""
        mine = self._score(self._history)
        renamed = History("val-0002", self._history.liked, self._history.disliked)
        agree(mine, self._score(renamed))
        moved = max(float(np.abs(self._score(other) - mine).max()) for other in (self._other, _flipped(self._history)))
        if self._scorer.card.personal and moved == 0:
            fail("the card says personal, but another history and one with its sides exchanged change nothing")
        if not self._scorer.card.personal and moved > 0:
            fail(f"the card says not personal, but the history moves a value by {moved:.3g}")
        return f"another history moves values by up to {moved:.3g}"

    def empty(self) -> str:
        """Without likes, dislikes or both there are values, or one line that says why not."""
        liked, disliked = self._history.liked, self._history.disliked
        lacking = (History("val-0000", (), ()), History("val-0000", liked, ()), History("val-0000", (), disliked))
        return ", ".join(f"{len(h.liked)} and {len(h.disliked)}: {self._asked(h)}" for h in lacking)

    def _asked(self, history: History) -> str:
        try:
            values = self._score(history)
        except PrefbenchError as error:
            if "\n" in str(error):
                fail(f"what is wrong must be said in one line: {str(error)!r}"[:200])
            return "refused"
        if values.shape != (len(self._pictures),) or not np.isfinite(values).all():
            fail(f"{len(history.liked)} likes and {len(history.disliked)} dislikes give {values}"[:200])
        return "values"

    def untouched(self) -> str:
        """Scoring changes nothing that it was given."""
        pictures, prompts = [picture.copy() for picture in self._pictures], list(self._prompts)
        history, twin = made_up_history("val-0000"), made_up_history("val-0000")
        self._scorer.score(history, prompts, pictures)
        if prompts != self._prompts or len(pictures) != len(self._pictures):
            fail("the scorer changed the lists that it was given")
        if any(not np.array_equal(a, b) for a, b in zip(pictures, self._pictures, strict=True)):
            fail("the scorer changed its pictures")
        # The digest is remembered and would not show a change.
        if history != twin:
            fail("the scorer changed the history")
        return "pictures, prompts and history"

    def people(self, scorer: CrossFittedScorer) -> str:
        """What a scorer learns across people follows neither their order nor the person that it is asked about."""
        people = {user: made_up_history(user) for user in ("val-0000", "val-0001", "val-0002", "val-0003")}
        me = self._history.user
        told = self._after(scorer, people)
        if not np.array_equal(told, self._after(scorer, dict(reversed(people.items())))):
            fail("the same people in another order give other values")
        if not np.array_equal(told, self._after(scorer, {**people, me: _flipped(self._history)})):
            fail(f"what it was told of {me} by fit moves the values of {me}")
        flipped = self._after(scorer, {user: _flipped(people[user]) for user in people})
        moved = float(np.abs(flipped - told).max())
        if moved == 0:
            fail("the judgments of all others, with their sides exchanged, change nothing")
        return f"neither their order nor the person moves a value, the others by up to {moved:.3g}"

    def _after(self, scorer: CrossFittedScorer, people: Mapping[str, History]) -> Features:
        """The values under the person's history, then under an empty one, once these people are learned from."""
        scorer.fit(people)
        return np.concatenate([self._score(self._history), self._score(replace(self._history, liked=(), disliked=()))])

    def _score(self, history: History, rows: Sequence[int] | range | None = None) -> Features:
        """The scores of copies, so that no check sees what a scorer did in another."""
        rows = range(len(self._pictures)) if rows is None else rows
        return self._scorer.score(history, [self._prompts[i] for i in rows], [self._pictures[i].copy() for i in rows])


def _flipped(history: History) -> History:
    """Its sides exchanged."""
    liked = tuple(Judgment(j.picture, j.prompt, liked=True) for j in history.disliked)
    return History(history.user, liked, tuple(Judgment(j.picture, j.prompt, liked=False) for j in history.liked))
