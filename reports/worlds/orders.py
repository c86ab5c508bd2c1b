"""The true order of the methods in each world, how far worlds agree on it, and which pairs of methods turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from prefbench.api import FloatArray, PrefbenchError, Scores
from prefbench.stats.joint import complete_rows, rank_intervals
from prefbench.stats.paired import adjusted, paired_difference
from prefbench.stats.ranks import Standings
from prefbench.stats.table import Table

from ..shared.frame import UTILITY, is_control
from .schema import Place, Side, Turn, WorldPair
from .worlds import FEWEST_METHODS, World

ALPHA = 0.05
_SEED = 0


@dataclass(frozen=True)
class TrueOrder:
    """The methods of one world by the true utility of what they drew."""

    world: World
    scores: Sequence[Scores]
    """Of each method, on the rows that all methods have a value for."""
    missing: int
    replicates: int

    @classmethod
    def of(cls, world: World, *, replicates: int) -> TrueOrder:
        """Raises `PrefbenchError` where no sample has a true utility under all methods."""
        every = [run.columns()[UTILITY].scores for run in world.runs.values()]
        complete = complete_rows(every)
        if not len(complete[0]):
            raise PrefbenchError(f"no sample of the world {world.name} has a true utility under all of its methods")
        return cls(world, complete, len(every[0]) - len(complete[0]), replicates)

    @property
    def labels(self) -> list[str]:
        return list(self.world.runs)

    @cached_property
    def means(self) -> FloatArray:
        """Mean true utility of each method (K,), every user counting equally."""
        first = self.scores[0]
        return Table.of(first.users, first.prompts, [scores.values for scores in self.scores]).means()

    @cached_property
    def standings(self) -> Standings:
        """Of all methods and controls."""
        return Standings.of(self.scores, replicates=self.replicates, seed=_SEED)

    @cached_property
    def of_methods(self) -> Standings | None:
        """Without controls; None for fewer than three methods."""
        honest = [
            scores for scores, run in zip(self.scores, self.world.runs.values(), strict=True) if not is_control(run)
        ]
        if len(honest) < FEWEST_METHODS:
            return None
        return Standings.of(honest, replicates=self.replicates, seed=_SEED)

    def places(self) -> dict[str, Place]:
        """Every method's mean and rank."""
        ranks = rank_intervals(dict(zip(self.labels, self.scores, strict=True)))
        return {
            label: {"mean": float(mean), "rank": rank.rank, "low": rank.low, "high": rank.high}
            for (label, rank), mean in zip(ranks.items(), self.means, strict=True)
        }


Sides = Mapping[tuple[str, str], Mapping[str, Side]]
"""Pair of methods to world to its difference there."""


def sides_of(orders: Sequence[TrueOrder]) -> Sides:
    """Every pair of methods in every world, tested; the p values of all are adjusted together."""
    tested = {}
    for order in orders:
        for (one, a), (other, b) in combinations(zip(order.labels, order.scores, strict=True), 2):
            tested[one, other, order.world.name] = paired_difference(a, b)
    p_values = adjusted([difference.p_value for difference in tested.values()])
    sides: dict[tuple[str, str], dict[str, Side]] = {}
    for ((one, other, world), difference), p in zip(tested.items(), p_values, strict=True):
        about = difference.estimate
        side: Side = {"value": about.value, "low": about.low, "high": about.high, "p": p}
        sides.setdefault((one, other), {})[world] = side
    return sides


def turns_of(orders: Sequence[TrueOrder], sides: Sides) -> list[Turn]:
    """The pairs of methods of which either is ahead in some world, the first of a pair ahead in the first such world.

    A turn is beyond chance where each is ahead somewhere with an adjusted p below 0.05: then both claims hold at once.
    """
    ahead = np.stack([order.standings.observed for order in orders])
    turns = []
    for k, (pair, of_pair) in enumerate(sides.items()):
        if not {1.0, -1.0} <= set(ahead[:, k]):
            continue
        first = next(sign for sign in ahead[:, k] if sign)
        one, other = pair if first > 0 else pair[::-1]
        sure = {sign for sign, side in zip(ahead[:, k], of_pair.values(), strict=True) if is_sure(side)}
        differences = {world: side if first > 0 else _reversed(side) for world, side in of_pair.items()}
        beyond = {1.0, -1.0} <= sure
        turns.append(Turn(first=one, second=other, differences=differences, beyond_chance=beyond))
    return sorted(turns, key=lambda turn: not turn["beyond_chance"])


def pairs_of(orders: Sequence[TrueOrder], sides: Sides) -> list[WorldPair]:
    """Every two worlds."""
    return [_pair(one, other, sides) for one, other in combinations(orders, 2)]


def _pair(one: TrueOrder, other: TrueOrder, sides: Sides) -> WorldPair:
    turned = one.standings.observed * other.standings.observed < 0
    names = one.world.name, other.world.name
    sure = np.array([all(is_sure(side[name]) for name in names) for side in sides.values()])
    of_methods = None
    if one.of_methods is not None and other.of_methods is not None:
        of_methods = one.of_methods.correlation(other.of_methods)
    return {
        "first": names[0],
        "second": names[1],
        "tau": one.standings.correlation(other.standings),
        "tau_of_methods": of_methods,
        "turned": int(turned.sum()),
        "beyond_chance": int((turned & sure).sum()),
    }


def is_sure(side: Side) -> bool:
    """Whether the two stand apart beyond chance there."""
    return side["p"] is not None and side["p"] < ALPHA


def _reversed(side: Side) -> Side:
    value, low, high = (None if end is None else -end for end in (side["value"], side["high"], side["low"]))
    return {"value": value, "low": low, "high": high, "p": side["p"]}
