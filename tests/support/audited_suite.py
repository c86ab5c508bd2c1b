"""A suite that an audit finds nothing in: the tiny one with prompts and references that no method sees."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Case, History, Reference, Split, User, Viewer
from tests.support.tiny_suite import TinySuite, history

UNSEEN = ("a tower by a lake", "seven bells")


class AuditedSuite(TinySuite):
    """The suite of this file: `--suite tests/audited_suite.py:AuditedSuite`."""

    def users(self, split: Split) -> Sequence[User]:
        return [User(f"scorer-{i}", "scorer") for i in range(2)] if split == "scorer" else super().users(split)

    def history(self, user: str, viewer: Viewer = "method") -> History:
        if not user.startswith("scorer-"):
            return super().history(user, viewer)
        return history(user, int(user.partition("-")[2]) + 50 * (viewer == "scorer"), 3)

    def cases(self, user: str) -> Sequence[Case]:
        return [Case(f"{user}/{i}", user, prompt) for i, prompt in enumerate(UNSEEN)]

    def references(self, split: Split) -> Sequence[Reference]:
        return [
            Reference(user.id, judgment.prompt, judgment.picture)
            for user in self.users(split)
            for judgment in self.history(user.id, "scorer").liked
        ]

    def training_prompts(self) -> frozenset[str]:
        return frozenset({"a tower", "a lake at noon"})
