"""Whether the method's code reached for a suite, its truth or its reader, as was looked at when the run was drawn."""

from __future__ import annotations

from prefbench.api import agreeing, counted
from prefbench.api.runs import is_given
from prefbench.check.findings import fail, skip, warn

from .audited_run import AuditedRun


def reach(run: AuditedRun) -> str:
    """No method but a control whose card says so imports, names, makes or holds what knows the users."""
    if is_given(run.spec):
        skip("the images were given: no code drew them here")
    if "reached" not in run.description:
        skip("the run was drawn before code was looked at")
    rows, card = run.description["reached"], run.description["method"]
    declared = card.get("imports", ()) if card.get("control") else ()
    n = f"{counted(len(rows), 'place')} {agreeing(len(rows), 'reaches', 'reach')}"
    if rows and not declared:
        fail(f"{n} for a suite, its truth or its reader, and the card does not say so", rows)
    if rows:
        return f"a control that declares {', '.join(declared)}: {n} for it"
    if unread := run.description.get("unread_code", ()):
        warn(f"the source of {', '.join(unread)} cannot be read", [{"module": name} for name in unread])
    return "imports no suite, truth or reader, and held none once it had drawn"
