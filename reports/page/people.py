"""The users of the page: who they are, what they judged as methods saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefbench.api import History, Judgment, PrefbenchError, ScoredRun
from prefbench.run.folder import RunFolder

from .data import shown
from .sheets import Wanted

SHOWN = 16
"""Judgments a side that the page shows of a user."""


@dataclass(frozen=True)
class People:
    """Users with their kinds, in the order of the suite, and the judgments that the page shows of them."""

    kinds: Mapping[str, str]
    histories: Mapping[str, History]
    """Of those whose history is known to be what the methods saw."""

    @property
    def places(self) -> dict[str, int]:
        """User to index."""
        return {user: i for i, user in enumerate(self.kinds)}

    def shown(self, user: str, side: str) -> Sequence[Judgment]:
        """The judgments of one side, `liked` or `disliked`."""
        history = self.histories.get(user)
        judgments: Sequence[Judgment] = () if history is None else getattr(history, side)[:SHOWN]
        return judgments

    def wanted(self, user: str) -> list[Wanted]:
        """The pictures of all judgments shown, likes first."""
        judged = [*self.shown(user, "liked"), *self.shown(user, "disliked")]
        return [Wanted(one.picture.digest, one.picture.load) for one in judged]

    @property
    def prompts(self) -> list[str]:
        """Every prompt of a judgment shown."""
        sides = ("liked", "disliked")
        return list(
            dict.fromkeys(one.prompt for user in self.kinds for side in sides for one in self.shown(user, side))
        )

    def to_json(self, prompts: Mapping[str, int], place: Callable[[str], int]) -> dict[str, Any]:
        """What the page is told: `prompts` gives the index of a prompt, `place` the place of a picture."""
        sides = {
            side: [
                [[place(j.picture.digest), prompts[j.prompt], j.rating] for j in self.shown(user, side)]
                for user in self.kinds
            ]
            for side in ("liked", "disliked")
        }
        sizes = (max(0, len(history.liked) - SHOWN) + max(0, len(history.disliked) - SHOWN) for history in self._all)
        users = [{"id": user, "kind": shown(kind)} for user, kind in self.kinds.items()]
        return {"users": users, "prompts": shown(list(prompts)), **sides, "left_out": list(sizes)}

    @property
    def _all(self) -> Iterable[History]:
        return (self.histories.get(user, History(user, (), ())) for user in self.kinds)


def people_of(runs: Sequence[ScoredRun], history: Callable[[str], History] | None) -> People:
    """The users of some runs. A history that is not the one in the profiles of a run under no control is left out.

    Args:
        runs: of one suite and split.
        history: gives a user's history; None where nobody is to be shown with one.
    """
    kinds = {user: kind for run in runs for user, kind in run.kinds.items()}
    if history is None:
        return People(kinds, {})
    seen = {
        row.user: row.history for run in runs if run.control is None for row in RunFolder(run.path).profiles().values()
    }
    histories: dict[str, History] = {}
    for user in kinds:
        try:
            own = history(user)
        except PrefbenchError:  # the page goes on without what cannot be read
            continue
        if seen.get(user, own.digest) == own.digest:
            histories[user] = own
    return People(kinds, histories)
