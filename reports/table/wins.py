"""Win rates: how often a run's picture is liked better than that of a run which frames it, by the own user's scorer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from prefbench.api import ALL, Column, Estimate, ScoredRun, SummaryRow, agreeing
from prefbench.api.runs import is_given
from prefbench.stats.wins import win_rate

from ..shared.cells import DASH
from ..shared.commands import command_for
from ..shared.frame import (
    BASELINE,
    CROWD,
    MISMATCH,
    WIN,
    is_personal,
    mismatched,
    only,
    own_column,
)
from ..shared.paired import Columns, on_shared_keys, with_counts

EVEN = 0.5
"""The win rate of two runs whose pictures are liked alike."""
UNPROVEN = "≈"
"""Beside a method that does not beat the crowd and its own mismatched control."""


class Win(NamedTuple):
    """A run's win rate over one opponent, with the p value of `EVEN`."""

    label: str
    opponent: str
    summary: SummaryRow
    p: float | None


def win_column(name: str) -> str:
    """The column of win rates over a run: `win-rate over crowd`."""
    return f"{WIN} over {name}"


def wins(
    shown: Mapping[str, ScoredRun],
    everyone: Mapping[str, ScoredRun],
    columns: Mapping[str, Columns],
    everything: Mapping[str, Columns],
    base: str | None,
) -> list[Win]:
    """The win rates of each shown run over the baseline, the crowd, its own mismatched control, and `base`.

    Args:
        everyone: the shown runs, and those beside them.
        columns: what is compared, of which `everything` has all rows.
        base: the label of the run that differences are to.
    """
    name = own_column(everything.values())
    rows = []
    for label, run in shown.items():
        for opponent, other in opponents(label, everyone, base).items():
            if name is not None and name in columns[label] and name in columns[other]:
                one = win_rate(*on_shared_keys(columns[label][name].scores, columns[other][name].scores))
                estimate = with_counts(one.estimate, *(everything[which][name].scores for which in (label, other)))
                summary = _summary(run, win_column(opponent), columns[label][name], estimate)
                rows.append(Win(label, other, summary, one.p_value))
    return rows


def opponents(label: str, everyone: Mapping[str, ScoredRun], base: str | None) -> dict[str, str]:
    """Whom a run is set against: the name in the column, to the label among all runs."""
    named = {BASELINE: only(everyone, BASELINE), CROWD: only(everyone, CROWD), MISMATCH: mismatched(everyone, label)}
    if base is not None and base not in named.values():
        named[base] = base
    return {name: other for name, other in named.items() if other is not None and other != label}


def lacking(shown: Mapping[str, ScoredRun], everyone: Mapping[str, ScoredRun]) -> dict[str, str]:
    """What of the frame is not there, as `crowd` or `ours + other-user`, to the command that draws it.

    Images that were given cannot be drawn again: of them nothing is lacking that a command could add.
    """
    first = next((run for run in shown.values() if not is_given(run.spec)), next(iter(shown.values())))
    commands = {name: command_for(first, name) for name in (BASELINE, CROWD) if only(everyone, name) is None}
    for label, run in shown.items():
        if is_personal(run) and not is_given(run.spec) and mismatched(everyone, label) is None:
            commands[f"{label} + {MISMATCH}"] = command_for(run, run.spec["method"], MISMATCH)
    return commands


def beaten_by_none(rows: Mapping[str, SummaryRow]) -> list[str]:
    """Of the crowd and the own mismatched control those that a run, given its rows by metric, does not beat.

    Beaten is what the whole interval of the win rate lies above `EVEN` for, whether the scorer may rank the run or not:
    one that may not is no proof of anything personal either. A run that is not there says nothing.
    """
    names = []
    for name in (CROWD, MISMATCH):
        row = rows.get(win_column(name))
        if row is not None and row.value is not None and (row.low is None or row.low <= EVEN):
            names.append(name)
    return names


def win_notes(own: str | None, shown: Iterable[str]) -> list[str]:
    """What a win rate is, where a table shows one."""
    columns = [name for name in shown if name.startswith(WIN)]
    lines = [
        f"{WIN}: share of samples with a higher P(liked) under the own user ({own}) than that of the run named for the "
        f"same user, prompt and seed; ties count half, {EVEN:g} is alike, p is of {EVEN:g}, {DASH} is the run itself."
    ] * bool(columns)
    return [*lines, *[_MISMATCHED] * (win_column(MISMATCH) in columns)]


_MISMATCHED = f"over {MISMATCH}: over the same method when it is shown another user's history, where it was drawn so."


def unproven_notes(unbeaten: Mapping[str, list[str]]) -> list[str]:
    """Which methods have personalised nothing that matters, by what `unbeaten` says of each."""
    names = {label: " and ".join(those) for label, those in unbeaten.items() if those}
    each = "; ".join(f"{label} does not beat {those}" for label, those in names.items())
    n = len(names)
    return [
        f"{UNPROVEN} {each}: {agreeing(n, 'it has', 'they have')} personalised nothing that matters here (a win rate "
        f"beats where its whole interval lies above {EVEN:g})."
    ] * bool(n)


def given_note(labels: Sequence[str]) -> list[str]:
    """For which given images nothing tells what another user's history would have changed."""
    return [
        f"no {MISMATCH} control: {', '.join(labels)} (images given, which nobody draws again with another user's "
        f"history; a win rate over {CROWD} alone does not tell that they are personal)."
    ] * bool(labels)


def lacking_note(commands: Mapping[str, str]) -> list[str]:
    """What of the frame is missing, and the commands that draw it."""
    missing = "; ".join(f"{name} ({command})" for name, command in commands.items())
    return [f"missing from the frame: {missing}."] * bool(missing)


def _summary(run: ScoredRun, metric: str, column: Column, estimate: Estimate) -> SummaryRow:
    about = {field: getattr(column, field) for field in ("won_by", "unranked", "extractor", "foreign")}
    return SummaryRow(
        method=run.method,
        control=run.control,
        metric=metric,
        kind=ALL,
        direction=column.direction,
        question=column.question,
        **about,
        **asdict(estimate),
    )
