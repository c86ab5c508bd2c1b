"""Checks of per-user metrics."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from prefbench.api import Evidence, History, Judgment, Picture, PrefbenchError, UserMetric, UserStates, Viewer, counted
from prefbench.check.columns import Columns, as_text, check_columns, check_finite
from prefbench.check.findings import Check, fail, one_line, warn
from prefbench.check.made_up import MadeUpTruth, made_up_features
from prefbench.probing.plan import HALF_SIZE, ITEMS_PER_SIDE

_USERS, _PROMPTS, _WIDTH = 32, 12, 8
_ROUNDING = 1e-6


def made_up_user(number: int) -> tuple[UserStates, History]:
    """A user whose first layer tells who they are and what they like, and whose second tells nothing."""
    rng = np.random.default_rng([7, number])
    user, taste = f"val-{number:04d}", rng.standard_normal(_WIDTH)
    judgments = [_judgment(user, i, rng) for i in range(2 * ITEMS_PER_SIDE)]
    signs = np.array([[1.0 if judgment.liked else -1.0] for judgment in judgments])
    halves, answers = (
        taste + rng.standard_normal((2, _WIDTH)),
        0.3 * signs + rng.standard_normal((len(judgments), _WIDTH)),
    )
    noise = rng.standard_normal((2 + len(judgments), _WIDTH))
    pictures = tuple(tuple(Picture(f"{user} {half} {i}") for i in range(2 * HALF_SIZE)) for half in ("first", "second"))
    states = UserStates(
        user,
        (pictures[0], pictures[1]),
        {"knows": halves.astype(np.float32), "noise": noise[:2].astype(np.float32)},
        tuple(judgments),
        {"knows": answers.astype(np.float32), "noise": noise[2:].astype(np.float32)},
    )
    return states, History(user, tuple(judgments[:ITEMS_PER_SIDE]), tuple(judgments[ITEMS_PER_SIDE:]))


def _judgment(user: str, turn: int, rng: np.random.Generator) -> Judgment:
    return Judgment(Picture(f"{user} asked {turn}"), f"prompt {rng.integers(_PROMPTS)}", turn < ITEMS_PER_SIDE)


class UserMetricChecks:
    """Checks on made-up users, the last of whom is not represented."""

    def __init__(self, metric: UserMetric) -> None:
        members = [made_up_user(number) for number in range(_USERS)]
        self._metric = metric
        self._users = [states.user for states, _ in members]
        self._known = {states.user: states for states, _ in members[:-1]} if metric.card.asks_representations else {}
        self._histories: dict[str, History] = {history.user: history for _, history in members}

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        return {
            "columns": self.columns,
            "values": self.values,
            "bounds": self.bounds,
            "repeats": self.repeats,
            "order of users": self.order,
            "too few users": self.too_few,
            "inputs untouched": self.untouched,
        }

    def _evidence(self, users: Sequence[str]) -> Evidence:
        """Copies, so that no check sees what a metric did in another."""
        parts: tuple[Viewer, ...] = self._metric.card.asks_histories
        evidence = Evidence(
            MadeUpTruth() if self._metric.card.asks_truth else None,
            {},
            {viewer: {user: self._histories[user] for user in users} for viewer in parts},
            representations={user: self._known[user] for user in users if user in self._known},
        )
        evidence = copy.deepcopy(evidence)
        return (
            replace(evidence, judged_features=partial(made_up_features, width=_WIDTH))
            if self._metric.extractor
            else evidence
        )

    def _score(self, users: Sequence[str]) -> Columns:
        return self._metric.score(list(users), self._evidence(users))

    def columns(self) -> str:
        """The metric's own name first, then its parts, one value per user in each."""
        return check_columns(self._score(self._users), self._metric.card.name, len(self._users), "users")

    def values(self) -> str:
        """Finite numbers or None; None for a user whom the method does not represent."""
        columns = self._score(self._users)
        check_finite(columns)
        for column, values in columns.items():
            if self._known and values[-1] is not None:
                fail(f"{column} is {values[-1]!r} for a user whom the method does not represent")
        numbers = [v for v in columns[self._metric.card.name] if v is not None]
        if not numbers:
            warn("no user got a value")
        return f"{len(numbers)} of {counted(len(self._users), 'user')}, {min(numbers):.4g} to {max(numbers):.4g}"

    def bounds(self) -> str:
        """The mean over users stays within the card's bounds; a single influence value may leave them."""
        low, high = self._metric.card.bounds
        numbers = [v for v in self._score(self._users)[self._metric.card.name] if v is not None]
        mean = float(np.mean(numbers)) if numbers else None
        if mean is not None and ((low is not None and mean < low) or (high is not None and mean > high)):
            fail(f"{mean:.6g} is outside the card's bounds {low} to {high}")
        return f"{low} to {high}"

    def repeats(self) -> str:
        """The same users again get equal values."""
        if as_text(self._score(self._users)) != as_text(self._score(self._users)):
            fail("the same users got other values")
        return "equal"

    def order(self) -> str:
        """Reversed users get the reversed values."""
        forwards, backwards = self._score(self._users), self._score(self._users[::-1])
        for column, values in forwards.items():
            for a, b in zip(values, list(backwards[column])[::-1], strict=True):
                if (a is None) != (b is None) or abs((a or 0) - (b or 0)) > _ROUNDING * max(1.0, abs(a or 0)):
                    fail(f"{column} is {a} and then {b}")
        return "reversed alike"

    def too_few(self) -> str:
        """One user, or none, is refused with one line, or gets None."""
        message = "None"
        for users in ([], self._users[:1]):
            try:
                self._score(users)
            except PrefbenchError as error:
                message = one_line(error)
        return message

    def untouched(self) -> str:
        """Scoring changes nothing that it was given."""
        users, evidence, before = list(self._users), self._evidence(self._users), self._evidence(self._users)
        self._metric.score(users, evidence)
        if users != self._users:
            fail("the metric changed its users")
        for user, states in before.representations.items():
            now = evidence.representations[user]
            for own, other in ((states.half_states, now.half_states), (states.item_states, now.item_states)):
                if any(not np.array_equal(matrix, other[layer]) for layer, matrix in own.items()):
                    fail(f"the metric changed the states of {user}")
        return "users and states"
