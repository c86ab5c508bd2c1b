"""What tables and figures of a paper are made from: plain rows, of runs or of committed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prefbench.api import ALL, History, ScoredRun

from ..ablation.schema import VariantRow
from ..shared.frame import UTILITY, headlines, ranking_metric
from ..table.compare import ComparedRow, ordered

ALPHA = 0.05
"""The level of Holm's adjusted p values below which a difference counts as significant."""


@dataclass(frozen=True)
class PairTests:
    """The adjusted p values of no difference between two methods in a metric."""

    p_holm: Mapping[tuple[str, str, str], float]
    """By (metric, one label, other label); each pair in one order."""
    family: str
    """What they are adjusted over."""
    source: str = ""
    """Which pairs there are, where that is not all, for a caption that has to say that one is not tested."""

    def of(self, metric: str, one: str, other: str) -> float | None:
        """The p value of a pair, in either order; None where it was not tested."""
        return self.p_holm.get((metric, one, other), self.p_holm.get((metric, other, one)))


@dataclass(frozen=True)
class Variants:
    """One method with different parameters, the reference first; a cell's difference is to that."""

    method: str
    rows: Sequence[VariantRow]
    directions: Mapping[str, str]
    family: str
    """What the p values are adjusted over."""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Point:
    """A value at a place, with its interval where it has one."""

    x: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curve:
    """A line of a panel."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """Curves over one axis; `level` is a horizontal line, such as chance."""

    title: str
    curves: Sequence[Curve]
    level: float | None = None


@dataclass(frozen=True)
class Curves:
    """A figure of curves: `history`, `dose` or `probing`."""

    stem: str
    x: str
    y: str
    panels: Sequence[Panel]
    caption: str
    doubling: bool = False
    """Whether places double from one to the next."""


@dataclass(frozen=True)
class Shown:
    """Runs with pictures, by label, and what gives a user's history."""

    runs: Mapping[str, ScoredRun]
    history: Callable[[], Callable[[str], History]]


@dataclass(frozen=True)
class Material:
    """Rows of all runs, what was tested between them, and what else there is to draw."""

    suite: str
    split: str
    backbone: str
    baseline: str
    family: str
    """What the p values of differences to the baseline are adjusted over."""
    rows: Sequence[ComparedRow]
    order: Sequence[str]
    """Labels as tables list them: honest methods by rank, then controls."""
    ranked: frozenset[str]
    tests: PairTests
    marks: Mapping[str, str]
    """What stands beside the name of a method."""
    notes: Sequence[str]
    """What these marks mean, and what somebody should know of all rows."""
    variants: Variants | None = None
    curves: Sequence[Curves] = ()
    shown: Shown | None = None
    left_out: Sequence[str] = field(default=())
    """One line for each table or figure that there is nothing for."""

    def of(self, label: str, *, kind: str = ALL) -> dict[str, ComparedRow]:
        """The rows of one label for one kind of users, by metric."""
        return {row.summary.metric: row for row in self.rows if row.label == label and row.summary.kind == kind}

    @property
    def metrics(self) -> list[str]:
        """Every metric that some row has a value of, in the order in which tables show them."""
        valued = [row.summary for row in self.rows if row.summary.value is not None]
        return ordered({row.metric: row.question for row in valued})

    @property
    def kinds(self) -> list[str]:
        """The kinds of users, in the order of the rows."""
        return [kind for kind in dict.fromkeys(row.summary.kind for row in self.rows) if kind != ALL]

    @property
    def ranked_by(self) -> str:
        """The metric by which methods are ranked; of none the first."""
        return ranking_metric(self.metrics) or next(iter(self.metrics), UTILITY)

    @property
    def headlines(self) -> list[str]:
        """What the main table shows unless metrics are named: what ranks, then one for each question."""
        questions = {row.summary.metric: row.summary.question for row in self.rows if row.summary.value is not None}
        return list(dict.fromkeys([self.ranked_by, *headlines(questions)]))
