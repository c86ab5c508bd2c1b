"""The lines under a table: what its marks mean, how accurate its scorers are, what it could have shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from prefbench.api import ALL, Estimate, ScoredRun, SummaryRow, TextsRead, agreeing, counted
from prefbench.api.runs import is_given
from prefbench.run.given.card import not_stated
from prefbench.run.given.coverage import copied
from prefbench.stats.power import smallest_shown
from prefbench.stats.trust import constant_sentence, few_groups_sentence, has_few_groups, is_constant

from .cells import ALIKE, FEW_GROUPS, FOREIGN, MIXED, UNRANKED, USERS_ONLY, counts, number
from .frame import WIN
from .meaning import scale_notes, won_notes
from .paired import Cut
from .training import learned_lines


def legend(rows: Sequence[SummaryRow], notes: Sequence[str] = ()) -> list[str]:
    """The meaning of the marks that occur in a table, which shows the rows over all users."""
    summaries = [row for row in rows if "/" not in row.metric]
    lines = [*notes, *scale_notes(list(dict.fromkeys(row.metric for row in summaries))), *won_notes(summaries)]
    lines += interval_notes(row for row in rows if row.kind == ALL)
    lines += _scorer_notes(summaries)
    lines += _encoder_notes(summaries)
    floors = {row.metric: row.floor for row in summaries if row.floor is not None}
    if floors:
        values = ", ".join(f"{metric} {number(floor)}" for metric, floor in floors.items())
        lines.append(f"floor: one half of the references against the other at the same n ({values}).")
    crowds = {row.metric: row.crowd for row in summaries if row.crowd is not None}
    if crowds:
        values = ", ".join(f"{metric} {number(crowd)}" for metric, crowd in crowds.items())
        lines.append(f"crowd: the same prompts in the style that most users like, against the references ({values}).")
    for metric in floors:
        stood_on = sorted({row.n_samples for row in summaries if row.metric == metric})
        if len(stood_on) > 1:
            lines.append(
                f"{metric} stands on {' and '.join(map(str, stood_on))} samples: not comparable between these."
            )
    return lines


def interval_notes(rows: Iterable[SummaryRow | Estimate]) -> list[str]:
    """What the marks beside intervals mean, of those that occur."""
    shown = list(rows)
    few, constant = (list(filter(has, shown)) for has in (has_few_groups, is_constant))
    return [
        *_users_only_note(shown),
        *[f"{FEW_GROUPS} {few_groups_sentence()}"] * bool(few),
        *[f"{ALIKE} {constant_sentence(constant)}" for _ in constant[:1]],
    ]


def _users_only_note(rows: Sequence[SummaryRow | Estimate]) -> list[str]:
    prompts = sorted({row.n_prompts for row in rows if row.users_only})
    if not prompts:
        return []
    n = " and ".join(map(str, prompts))
    return [f"{USERS_ONLY} over users only: {n} prompt{'s' * (prompts != [1])}, too few to speak of other prompts."]


def unpaired_note(unpaired: Mapping[str, int]) -> list[str]:
    """Whose samples are left out of a table because not every run has them; empty where none are."""
    left_out = ", ".join(f"{label} {n}" for label, n in unpaired.items() if n)
    return [f"unpaired: samples left out, since not all runs have a value for them ({left_out})."] * bool(left_out)


def cut_note(cut: Cut | None) -> list[str]:
    """Which runs the samples are left out for, and how many the others share; empty where it is none."""
    if cut is None:
        return []
    names, n = ", ".join(cut.labels), len(cut.labels)
    shared = f"{agreeing(n, 'shares', 'share')} only {counted(cut.shared, 'sample')} of {cut.metric} with the others"
    return [f"{names} {shared}; without {agreeing(n, 'it', 'them')} the others share {cut.without:,}."]


def _scorer_notes(rows: Sequence[SummaryRow]) -> list[str]:
    """How far each learned scorer can be believed, and whom it must not rank; win rates are by the same one."""
    rows = [row for row in rows if not row.metric.startswith(WIN)]
    believed = {row.metric: row.scorer for row in rows if row.scorer}
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row.unranked:
            reasons.setdefault((row.metric, row.unranked), {})[row.method] = None
    return [
        *(f"{metric}: the scorer is {line}." for metric, line in believed.items()),
        *(
            f"{UNRANKED} not ranked by {metric}: {', '.join(methods)} ({reason})."
            for (metric, reason), methods in reasons.items()
        ),
    ]


def _encoder_notes(rows: Sequence[SummaryRow]) -> list[str]:
    """The metrics whose encoder does not know these pictures, and those that stand on few images."""
    unknown: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.foreign:
            unknown.setdefault(row.foreign, {})[row.metric] = None
    few = {row.metric: row for row in rows if row.few}
    return [
        *(
            f"{FOREIGN} {reason}: on other pictures {', '.join(names)} {agreeing(len(names), 'says', 'say')} little."
            for reason, names in unknown.items()
        ),
        *(f"few: {name} stands on {row.n_samples} images, its card asks for {row.few}." for name, row in few.items()),
    ]


def drawn_lines(run: ScoredRun) -> list[str]:
    """What somebody should look at before any number: training on it, pictures of one colour, equal ones, cut texts."""
    return [*learned_lines(run), *_given(run), *run.drawn().lines, *_unread(run), *_fewer(run)]


def mixed_note(mixed: Iterable[bool]) -> list[str]:
    """What the mark beside a number means that sets runs of two backbones against each other, where one does."""
    text = "over or minus a run that is not known to have the same backbone: of backbone and method together"
    return [f"{MIXED} {text}."] * any(mixed)


def _given(run: ScoredRun) -> list[str]:
    """That the images were given, and what nobody said of what drew them."""
    if not is_given(run.spec):
        return []
    unsaid = not_stated(run.description)
    known = f"; {', '.join(unsaid)} not stated" if unsaid else ""
    counts = run.description.get("given", {})
    return [
        f"images given, not drawn here{known}: set against images of the same stated backbone alone",
        *copied(counts.get("copies", 0), counts.get("found", 0)),
    ]


def drawn_notes(lines: Mapping[str, Sequence[str]]) -> list[str]:
    """The lines of runs by their labels; one that holds of several runs stands once."""
    holding: dict[str, list[str]] = {}
    for label, of_run in lines.items():
        for line in of_run:
            holding.setdefault(line, []).append(label)
    named = {line: "all runs" if len(labels) == len(lines) else ", ".join(labels) for line, labels in holding.items()}
    return [line if len(lines) == 1 else f"{labels}: {line}" for line, labels in named.items()]


def _unread(run: ScoredRun) -> list[str]:
    """The prompts that the models behind metrics cut, each by its own limit."""
    counts: dict[TextsRead, list[str]] = {}
    for name, header in run.headers.items():
        if header.texts is not None and header.texts.cut:
            counts.setdefault(header.texts, []).append(name)
    return [read.line("prompts", f"the encoder of {', '.join(names)}") for read, names in counts.items()]


def _fewer(run: ScoredRun) -> list[str]:
    """The metrics that stand on fewer of the suite's pictures than there are."""
    standing: dict[str, list[str]] = {}
    for name, header in run.headers.items():
        if header.unread is not None:
            standing.setdefault(header.unread, []).append(name)
    return [f"fewer pictures behind {', '.join(names)}: {line}" for line, names in standing.items()]


def smallest_note(metric: str, differences: Iterable[Estimate]) -> list[str]:
    """The smallest difference in a metric that a table shows, from the width of its intervals; empty without any."""
    effects = [(smallest, row) for row in differences if (smallest := smallest_shown(row)) is not None]
    if not effects:
        return []
    most = max((row for _, row in effects), key=lambda row: row.n_samples)
    stood_on = f"{counts(most)} samples"
    over = f" (median over {len(effects)} rows, before Holm)" if len(effects) > 1 else ""
    middle = number(median(smallest for smallest, _ in effects))
    return [f"smallest difference in {metric} that {stood_on} show in 4 of 5 cases: {middle}{over}."]
