"""Win rates: how often a run's picture is liked better than that of a run which frames it, by the own user's scorer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import NamedTuple

from prefbench.api import ALL, Column, Estimate, ScoredRun, SummaryRow, agreeing
from prefbench.api.runs import is_given
from prefbench.stats.wins import win_rate

from ..shared.cells import DASH
from ..shared.commands import command_for, export_command, score_command, too_few
from ..shared.frame import (
    BASELINE,
    CROWD,
    CROWDS,
    MISMATCH,
    ROLES,
    STATED,
    WIN,
    framing,
    is_personal,
    mismatched,
    own_column,
    part,
    stated_backbone,
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
    base: str | None = None,
) -> list[Win]:
    """The win rates of each shown run over the baseline, the crowd, its own mismatched control, and `base`.

    Args:
        everyone: the shown runs, and those beside them.
        columns: what is compared, of which `everything` has all rows.
        base: the label of a run that was named as baseline.
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
    """Whom a run is set against: the name in the column, to the label among all runs.

    The frame of a run is of its own origin: what was drawn here by what was drawn here, given images by others of the
    same stated backbone whose cards say what they are, and whose columns say so too.
    """
    stated = is_given(everyone[label].spec)
    frame = {name: framing(everyone, label, name) for name in (BASELINE, CROWD)}
    frame[MISMATCH] = mismatched(everyone, label)
    named = {stated_name(name) if stated else part(everyone[label], name): other for name, other in frame.items()}
    if base is not None and base not in named.values():
        named[base] = base
    return {name: other for name, other in named.items() if other is not None and other != label}


def stated_name(name: str) -> str:
    """A part of the frame as the columns of given images name it."""
    return ROLES.get(name, name) + STATED


def lacking(shown: Mapping[str, ScoredRun], everyone: Mapping[str, ScoredRun]) -> dict[str, str]:
    """What of the frame is not there, as `crowd` or `ours + other-user`, to the command that brings it, or why none."""
    commands: dict[str, str] = {}
    for label, run in shown.items():
        missing = [name for name in (BASELINE, CROWD) if framing(everyone, label, name) is None]
        if is_given(run.spec):
            commands |= _lacking_given(label, run, missing)
        else:
            methods = [part(run, name) for name in missing]
            commands |= {name: _command_of(run, name) for name in methods if name not in commands}
        if is_personal(run) and mismatched(everyone, label) is None:
            commands[f"{label} + {MISMATCH}"] = _mismatched_command(run)
    return commands


def _lacking_given(label: str, run: ScoredRun, missing: Iterable[str]) -> dict[str, str]:
    """What hands in the missing parts of the frame of given images."""
    backbone = stated_backbone(run)
    if not backbone:
        return {f"the backbone of {label}": 'its card.toml: backbone = "..."'}
    commands = {}
    for role in (ROLES[name] for name in missing):
        command = score_command(run, role.upper())
        commands[f"{role} of {backbone}"] = f'{command}; its card.toml: role = "{role}", backbone = "{backbone}"'
    return commands


def _command_of(run: ScoredRun, method: str) -> str:
    """The command that draws a part of the frame, or why there is none: one person is no crowd."""
    alone = too_few(run, 2, of_all=True) if method in CROWDS else ""
    return alone or command_for(run, method)


def _mismatched_command(run: ScoredRun) -> str:
    if alone := too_few(run, 2):
        return alone
    if not is_given(run.spec):
        return command_for(run, run.spec["method"], MISMATCH)
    card = f'name = "{run.method}", control = "{MISMATCH}", backbone = "{stated_backbone(run) or "..."}"'
    return f"{export_command(run, MISMATCH)}; the card.toml of what is drawn from it: {card}"


def beaten_by_none(rows: Mapping[str, SummaryRow]) -> list[str]:
    """Of the crowd and the own mismatched control those that a run, given its rows by metric, does not beat.

    Beaten is what the whole interval of the win rate lies above `EVEN` for, whether the scorer may rank the run or not:
    one that may not is no proof of anything personal either. A run that is not there says nothing.
    """
    names = []
    for name in (*CROWDS, MISMATCH, stated_name(CROWD), stated_name(MISMATCH)):
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
    mismatched_columns = {win_column(MISMATCH), win_column(stated_name(MISMATCH))}
    lines += [_MISMATCHED] * any(name in columns for name in mismatched_columns)
    return [*lines, *[_STATED] * any(name.endswith(STATED) for name in columns)]


_STATED = "(stated): the run named is what it is by its card.toml alone, which nothing here checks."
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
