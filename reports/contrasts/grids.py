"""The tables of `prefbench compare`: contrasts, and where runs stand."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Cells, Estimate, Grid, counted, fixed
from prefbench.stats.jackknife import FEWEST_PROMPTS, FEWEST_USERS
from prefbench.stats.rules import interval_sentence, p_sentence

from ..shared.cells import (
    APART,
    DASH,
    MIXED,
    Counts,
    absence,
    counts,
    encoder,
    interval,
    marked,
    metric_heading,
    p_text,
    stands_note,
    usual,
    wrapped,
)
from ..shared.frame import is_control, same_origin
from ..shared.notes import interval_notes, mixed_note, smallest_note, unpaired_note
from .contrasts import ALPHA, Contrast, MeasuredContrasts
from .standings import Standing, Standings

_NAMED = 5
"""At most so many users and prompts are named."""
_PAIR = 24
"""Letters of a pair on one line: the table fits 100 columns."""
_EFFECTS = (
    "dz: mean over standard deviation of users' differences. wins: share of users for whom the first is better, ties "
    f"half. turned by: single users and prompts without which significance at {ALPHA:g} is gained or lost."
)
_UNTESTED = (
    f"no interval and no p, since under {FEWEST_USERS} users or {FEWEST_PROMPTS} shared prompts there are, "
    "or too little is left without one"
)
_STRENGTHS = (
    "strength: log odds of winning a user's prompt (Bradley-Terry, mean 0, ties half), interval over users and prompts."
)


def contrast_grid(contrasts: MeasuredContrasts) -> Grid:
    """Every contrast, a section for each metric."""
    columns = ("contrast", "metric", "difference [95 %]", "p", "dz", "wins", "turned by")
    stands_on = usual(row.difference for row in contrasts.rows)
    sections = [
        [_contrast_row(row, stands_on, _is_mixed(contrasts, row)) for row in contrasts.rows if row.metric == metric]
        for metric in dict.fromkeys(row.metric for row in contrasts.rows)
    ]
    notes = [*stands_note(stands_on), _tests(contrasts)]
    if any(row.effect for row in contrasts.rows):
        notes += [interval_sentence(ALPHA), _EFFECTS]
    notes += interval_notes(row.difference for row in contrasts.rows)
    notes += mixed_note(_is_mixed(contrasts, row) for row in contrasts.rows)
    by = contrasts.standings.metric if contrasts.standings else None
    if by is not None:
        notes += smallest_note(by, [row.difference for row in contrasts.rows if row.metric == by])
    notes += [
        f"{row.method} − {row.baseline} in {row.metric} changes significance {_without(row.turns)}."
        for row in contrasts.rows
        if row.turns
    ]
    untested = dict.fromkeys(row.metric for row in contrasts.rows if row.effect is None and row.p is None)
    notes += [f"{_UNTESTED}: {', '.join(untested)}."] * bool(untested)
    notes += [f"no {name}: {reason}" for name, reason in contrasts.refused.items()]
    return Grid("contrasts", columns, sections, notes, kept=(0, 1))


def standings_grid(contrasts: MeasuredContrasts, standings: Standings) -> Grid:
    """Runs by one metric, controls below the rule."""
    columns: Cells = (
        "method",
        f"{metric_heading(standings.metric, standings.direction, encoder(standings))} [95 %]",
        "rank [95 %]",
        "strength [95 %]",
    )
    stands_on = usual(row.mean for row in standings.rows)
    honest = [row for row in standings.rows if not is_control(contrasts.runs[row.label])]
    controls = [row for row in standings.rows if row not in honest]
    notes = [*stands_note(stands_on), *([APART] if honest and controls else [])]
    if standings.unlinked is None:
        notes.append(_STRENGTHS)
    else:
        notes.append(f"no strengths: {standings.unlinked}, so no finite Bradley-Terry strengths fit.")
    if standings.overtakings:
        notes += [
            f"{pair.ahead} and {pair.behind} change places {_without(pair.turns)}."
            for pair in standings.overtakings
            if pair.turns
        ] or ["No single user or prompt changes the order of two neighbours in rank."]
    notes += interval_notes(estimate for row in standings.rows for estimate in (row.mean, row.strength) if estimate)
    notes += unpaired_note({row.label: row.mean.unpaired for row in standings.rows})
    sections = [[_standing_row(row, stands_on) for row in group] for group in (honest, controls)]
    return Grid(f"standings by {standings.metric}", columns, sections, notes, kept=(0,))


def _tests(contrasts: MeasuredContrasts) -> str:
    swaps = (
        f"Student's t on values without single users and prompts, or {contrasts.swaps} swaps of labels user by user, "
        "the larger"
    )
    over_sets = [row.effect is None for row in contrasts.rows]
    tests = [p_sentence()] * (not all(over_sets)) + [f"p of metrics over sets: {swaps}."] * any(over_sets)
    return f"{' '.join(tests)} Adjusted: {contrasts.family}."


def _without(names: Sequence[str]) -> str:
    examples = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        return f"without any one of {len(names)}: {examples} and others"
    return f"without {examples}" if len(names) == 1 else f"without any one of {examples}"


def _is_mixed(contrasts: MeasuredContrasts, row: Contrast) -> bool:
    return not same_origin(contrasts.runs[row.method], contrasts.runs[row.baseline])


def _contrast_row(row: Contrast, stands_on: Counts, mixed: bool) -> Cells:
    difference, size = row.difference, row.effect
    if difference.value is None:
        value = absence(difference)
    else:
        sign = "+" if difference.value > 0 else ""
        value = _with_counts(f"{sign}{marked(difference)} {interval(difference)}", difference, stands_on)
    dz, wins = (None, None) if size is None else (size.dz, size.wins)
    deciding = "" if size is None else _turns(row.turns)
    name = metric_heading(row.metric, row.direction, encoder(row))
    cells = (value, p_text(row.p_holm).removeprefix("p "), fixed(dz, 2), fixed(wins, 2), deciding)
    pair = f"{row.method} − {row.baseline}{f' {MIXED}' if mixed else ''}"
    below = pair if len(pair) <= _PAIR else pair.replace(" −", "\n−")
    return (below, wrapped(name), *cells)


def _with_counts(text: str, estimate: Estimate, stands_on: Counts) -> str:
    """The text, and below it what it stands on where that is not `stands_on`."""
    lines = [f"n {counts(estimate)}"] * (counts(estimate) != stands_on[0])
    lines += [f"{estimate.missing} missing"] * (estimate.missing != stands_on[1])
    lines += [f"{estimate.unpaired} unpaired"] * (estimate.unpaired > 0)
    return "\n".join([text, *lines])


def _turns(names: Sequence[str]) -> str:
    users = sum(name.startswith("user ") for name in names)
    parts = [counted(n, what) for n, what in ((users, "user"), (len(names) - users, "prompt")) if n]
    return "\n".join(parts) or "none"


def _standing_row(row: Standing, stands_on: Counts) -> Cells:
    rank = f"{row.rank.rank} [{row.rank.low}, {row.rank.high}]" if row.rank else ""
    return (row.label, _with_counts(_shown(row.mean), row.mean, stands_on), rank, _shown(row.strength))


def _shown(estimate: Estimate | None) -> str:
    return DASH if estimate is None or estimate.value is None else f"{marked(estimate)} {interval(estimate)}"
