"""What a published row rests on beside its numbers: its own run under another user's history, and a passed audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from prefbench.api import PrefbenchError, ScoredRun, counted
from prefbench.api.runs import is_given

from ..shared.audited import can_be_fresh, stored_outcome
from ..shared.commands import command_for
from ..shared.frame import MISMATCH, is_control, is_personal, mismatched

OF_THE_DATA = ("suite pictures", "targets", "prompts seen")
"""Checks that fail for every row of a suite alike: no method can do anything about them, and the page names them."""
_FRESH = 50
"""New users that a published row needs at least."""


class Vouched(TypedDict):
    """What stands behind one row."""

    audit: str
    """The outcome of the audit of these samples: `passed`, the failed checks, or empty where there is none."""
    audited: str
    """The day of it."""
    fresh: str
    """What it found for fresh users; empty where none were drawn for."""
    mismatched: str
    """The folder's name of the run under another user's history; empty where there is none."""
    lacking: str
    """What must be done before the row can be published; empty where it can."""


def vouched(runs: Mapping[str, ScoredRun], label: str) -> Vouched:
    """What stands behind the row of a run among those that are published together."""
    run = runs[label]
    outcome, other = stored_outcome(run.path, run.samples), mismatched(runs, label)
    own = [check for check in outcome["failed"] if check not in OF_THE_DATA] if outcome is not None else []
    failed = ", ".join(own)
    excused = ", ".join(check for check in (outcome["failed"] if outcome is not None else ()) if check in OF_THE_DATA)
    passed = f"passed but for {excused}, which is of the data" if excused else "passed"
    if outcome is not None and outcome["failed_before"]:
        passed += f" after {counted(outcome['failed_before'], 'failed one')}"
    if outcome is not None and outcome["warned"]:
        passed += f" with warnings ({', '.join(outcome['warned'])})"
    asked = f" --fresh {_FRESH}" if can_be_fresh(run.spec) else ""
    lacking = []
    if is_personal(run) and not is_given(run.spec) and other is None:
        lacking.append(f"its run under {MISMATCH} ({command_for(run, run.spec['method'], MISMATCH)})")
    if not is_control(run) and (outcome is None or failed):
        why = f", the last failed: {failed}" if failed else ""
        lacking.append(f"a passed audit{why} (prefbench audit {run.path}{asked})")
    elif not is_control(run) and asked and outcome is not None and outcome["fresh_users"] < _FRESH:
        lacking.append(f"an audit with {_FRESH} fresh users or more (prefbench audit {run.path}{asked})")
    return {
        "audit": "" if outcome is None else failed or passed,
        "audited": "" if outcome is None else outcome["date"],
        "fresh": "" if outcome is None else outcome["fresh"],
        "mismatched": "" if other is None else runs[other].path.name,
        "lacking": " and ".join(lacking),
    }


def check_vouched(rows: Mapping[str, Vouched]) -> None:
    """Raises `PrefbenchError` where a row cannot be published, with what it lacks."""
    missing = [f"{label} needs {row['lacking']}" for label, row in rows.items() if row["lacking"]]
    if missing:
        raise PrefbenchError(f"not published: {'; '.join(missing)}")


def vouched_notes(rows: Mapping[str, Mapping[str, Any] | None]) -> Sequence[str]:
    """Which audits and which runs stand behind the rows of a table; none for rows that were published before."""
    told = []
    for label, row in rows.items():
        if row is not None and (row["mismatched"] or row["audit"]):
            beside = [f"{MISMATCH} {row['mismatched']}"] * bool(row["mismatched"])
            audit = [f"audit {row['audit']} {row['audited']}"] * bool(row["audit"])
            fresh = [f"fresh users: {row['fresh']}"] * bool(row["fresh"])
            told.append(f"{label}: {', '.join([*audit, *fresh, *beside])}")
    return [f"Behind the rows: {'; '.join(told)}."] * bool(told)
