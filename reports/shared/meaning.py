"""What marks, scales and kinds of user mean, in the words of the cards of metrics and suites."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from statistics import median_low

from prefbench.api import MetricCard, PrefbenchError, ScoredRun, SuiteCard, SummaryRow, counted
from prefbench.registry import load, names

from .cells import WON
from .frame import BASELINE, CEILING, CROWD, GAP, OVER_CROWD, UTILITY, ranking_metric


def metric_card(column: str) -> MetricCard | None:
    """The card of the registered metric of a column; None for one from a file, or one that does not load."""
    name = UTILITY if column.startswith(GAP) else column.partition("/")[0]
    try:
        card: MetricCard | None = load("metric", name).card if name in names("metric") else None
    except PrefbenchError:
        return None
    return card


def won_notes(rows: Sequence[SummaryRow]) -> list[str]:
    """Which controls can win which metrics, and how: one line for each way."""
    ways: dict[tuple[tuple[str, ...], str], dict[str, None]] = {}
    for row in rows:
        if row.won_by:
            card = metric_card(row.metric)
            ways.setdefault((row.won_by, "" if card is None else card.won_how), {})[row.metric] = None
    return [
        f"{WON} the control{'s' if len(controls) > 1 else ''} {' and '.join(controls)} can win {', '.join(metrics)} "
        f"without doing what is asked{f': {how}' if how else ''}."
        for (controls, how), metrics in ways.items()
    ]


def scale_notes(metrics: Iterable[str]) -> list[str]:
    """What 0, 1 or chance is in each metric whose card says so, on one line."""
    scales = {name: card.scale for name in metrics if name != GAP and (card := metric_card(name)) and card.scale}
    for name, floor in ((GAP, BASELINE), (OVER_CROWD, CROWD)):
        if name in metrics:
            scales[name] = f"0 is {floor}, 1 is {CEILING}"
    saying: dict[str, list[str]] = {}
    for name, scale in scales.items():
        saying.setdefault(scale, []).append(name)
    return ["; ".join(f"{', '.join(named)}: {scale}" for scale, named in saying.items()) + "."] if scales else []


def kinds_note(run: ScoredRun) -> list[str]:
    """What each kind of user of a run is; empty where the suite is not registered or does not say."""
    suite = run.spec["suite"]
    card: SuiteCard | None = load("suite", suite).card if suite in names("suite") else None
    meanings = {} if card is None else card.kinds
    lines = [f"{kind}, {meanings[kind]}" for kind in sorted(set(run.kinds.values()) & meanings.keys())]
    return [f"kinds of user: {'; '.join(lines)}."] if lines else []


def gap_note(metrics: Collection[str], methods: Iterable[str]) -> list[str]:
    """Why a table has no share of the gap closed, and what to run for it; empty where it has."""
    if GAP in metrics:
        return []
    if UTILITY not in metrics:
        headline = ranking_metric(metrics)
        instead = f"; the headline here is {headline}" if headline else ""
        return [f"no {GAP}: it is made from {UTILITY}, which only a suite that knows the truth has{instead}."]
    lacking = [name for name in (BASELINE, CEILING) if name not in methods]
    if not lacking:
        return []
    commands = " and ".join(f"prefbench run --method {name}" for name in lacking)
    return [f"no {GAP}: it takes scored runs of {' and '.join(lacking)} on the same users beside: {commands}."]


def size_note(runs: Iterable[ScoredRun]) -> list[str]:
    """What n stands for: users, prompts of each, samples of a prompt; a line for each size that runs have."""
    return list(dict.fromkeys(_size(run) for run in runs))


def _size(run: ScoredRun) -> str:
    cases: dict[str, set[str]] = {}
    for sample in run.samples:
        cases.setdefault(sample.user, set()).add(sample.prompt)
    of_user = {len(prompts) for prompts in cases.values()}
    in_all, few, many = len(set().union(*cases.values())), min(of_user), max(of_user)
    prompts = str(few) if few == many else f"{few} to {many}, mostly {median_low(len(p) for p in cases.values())}"
    each = counted(in_all, "prompt") if few == in_all else f"{prompts} of {counted(in_all, 'prompt')} each"
    repeats = counted(1 + max(sample.index for sample in run.samples), "sample")
    drawn = counted(len(run.samples), "sample")
    return f"n: {counted(len(cases), 'user')} × {each} × {repeats} of a prompt, {drawn} in all."
