"""From the scores of a run to its summary: every number with its interval, computed once and stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from prefbench.api import ALL, Column, Cost, Estimate, ScoredRun, ScoreHeader, Scores, SummaryRow, count_drawn
from prefbench.files import write_atomic
from prefbench.score import admission
from prefbench.score.score_files import StoredSummary, write_summary
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.sets import CROWD_KEY, FLOOR_KEY, SET_KEY, WITHOUT_KEYS
from prefbench.stats.jackknife import jackknife_half_width
from prefbench.stats.means import mean_interval


def store_summary(run: ScoredFolder) -> None:
    """Computes the summary of a run's scores and writes `summary.json` and `samples.parquet`."""
    summary = StoredSummary(run.summary_digest(), cost(run), summarise(run), count_drawn(run.samples))
    write_summary(run.folder, run.spec, summary)
    write_atomic(run.path / "samples.parquet", run.samples_frame().to_parquet(index=False))


def summarise(run: ScoredFolder) -> list[SummaryRow]:
    """One row per column over all users, then one per kind of user; set-level metrics over all users alone."""
    per_unit = [row for name, column in run.columns().items() for row in column_rows(run, name, column)]
    return [*per_unit, *(_set_row(run, name) for name in run.set_metrics())]


def column_rows(run: ScoredRun, name: str, column: Column) -> list[SummaryRow]:
    """The rows of one column, whose scores may be some of the run's: over all users, then per kind of user."""
    kinds = sorted(set(run.kinds.values()))
    rows = [
        _column_row(run, name, kind, mean_interval(_of_kind(run, column.scores, kind)), column)
        for kind in [ALL, *(kinds if len(kinds) > 1 else [])]
    ]
    # Of what is not drawn yet the kind of user is not known here, so only the row over all users counts it.
    undrawn = run.undrawn if column.unit == "image" else 0
    return [replace(rows[0], missing=rows[0].missing + undrawn), *rows[1:]]


def _of_kind(run: ScoredRun, scores: Scores, kind: str) -> Scores:
    if kind == ALL:
        return scores
    own = scores.select(np.array([run.kinds[user] == kind for user in scores.users], dtype=np.bool_))
    return replace(own, unpaired=0)


def _column_row(run: ScoredRun, name: str, kind: str, estimate: Estimate, column: Column) -> SummaryRow:
    about = {field: getattr(column, field) for field in ("unranked", "scorer", "extractor", "foreign")}
    return _row(run, name, kind, column, **about, **asdict(estimate))


def _set_row(run: ScoredFolder, name: str) -> SummaryRow:
    """The stored value with its jackknife interval over users and prompts within the metric's bounds, and what stands
    beside it: the floor, and the value of the crowd's style.
    """
    header, values = run.headers[name], run.set_values(name)
    low, high = set_interval(run, name)
    drawn = [sample for sample in run.samples if sample.image is not None]
    # Of fewer images than were drawn it is not stored whose they are.
    pairs = len({(sample.user, sample.prompt) for sample in drawn}) if run.set_size(name) == len(drawn) else 0
    return _row(
        run,
        name,
        ALL,
        header,
        value=values[SET_KEY],
        low=low,
        high=high,
        n_users=len({sample.user for sample in run.samples}),
        n_prompts=len({sample.prompt for sample in run.samples}),
        n_samples=run.set_size(name),
        n_pairs=pairs,
        missing=len(run.samples) - len(drawn) + run.undrawn,
        floor=values.get(FLOOR_KEY),
        crowd=values.get(CROWD_KEY),
        unranked=admission.unranked(header, run.description["method"]),
        extractor=header.encoder_of(name),
        foreign=", ".join(header.foreign),
        few=header.least if run.set_size(name) < header.least else 0,
    )


def _row(run: ScoredRun, name: str, kind: str, about: Column | ScoreHeader, **values: Any) -> SummaryRow:
    values |= {"direction": about.direction, "question": about.question, "won_by": about.won_by}
    return SummaryRow(method=run.method, control=run.control, metric=name, kind=kind, **values)


def set_interval(run: ScoredFolder, name: str) -> tuple[float | None, float | None]:
    """The 95 % interval of a set-level value within its bounds; (None, None) without one."""
    values, bounds = run.set_values(name), run.headers[name].bounds
    value = values[SET_KEY]
    half = jackknife_half_width([[v for k, v in values.items() if k.startswith(prefix)] for prefix in WITHOUT_KEYS])
    if value is None or half is None:
        return None, None
    low, high = value - half, value + half
    return low if bounds[0] is None else max(low, bounds[0]), high if bounds[1] is None else min(high, bounds[1])


def cost(run: ScoredFolder) -> Cost:
    """The cost of the run, from the rows of its profiles and of its drawn samples."""
    profiles = list(run.folder.profiles().values())
    drawn = [sample for sample in run.samples if sample.image is not None]
    return Cost(
        seconds_per_user=_mean([row.seconds for row in profiles]),
        profile_bytes=_mean([row.bytes for row in profiles]),
        trained_parameters=_mean([row.trained_parameters for row in profiles]),
        seconds_per_image=_mean([sample.seconds for sample in drawn]),
        nfe_per_image=_mean([sample.nfe for sample in drawn]),
        peak_memory_bytes=max((row.peak_memory_bytes for row in profiles), default=None),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None
