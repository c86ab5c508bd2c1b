"""The lines that say what can be done where a scorer ranks nobody: it was not measured, or it was not admitted."""

from __future__ import annotations

from shlex import quote

from prefbench.api import ScoredRun, ScorerRecord
from prefbench.score.scorer_pairs import FEWEST_USERS

from ..shared.commands import measure_command, suite_given, too_few
from .compare import Comparison


def admission_lines(comparison: Comparison) -> list[str]:
    """One line for each scorer behind a metric of these runs that may rank no run of this suite, with the way out."""
    found: dict[str, tuple[ScorerRecord, ScoredRun]] = {}
    for run in comparison.runs.values():
        for header in run.headers.values():
            if header.scorer is not None:
                found.setdefault(header.scorer.name, (header.scorer, run))
    return [line for record, run in found.values() if (line := _line(record, run))]


def _line(record: ScorerRecord, run: ScoredRun) -> str:
    """Empty for a scorer that is admitted."""
    name, figures = record.name, record.figures
    of_test = run.spec["split"] == "test"
    if figures is None and of_test and (why := too_few(run, FEWEST_USERS, of_all=True)):
        return f"{name} was never measured on this suite: {why}."
    if figures is None:
        again = f"prefbench score RUNS --suite {quote(suite_given(run))}"
        return f"{name} was never measured on this suite: {measure_command(run, name)}, then {again}."
    if figures["admitted"]:
        return ""
    n = f"{figures['n_pairs']:,} pairs of {figures['n_users']:,} users"
    return (
        f"{name} is not admitted on this suite, by {n}: prefbench show scorer {name} has its figures; more judgments "
        "of each user, more users or a better encoder make it more certain."
    )
