"""Conformance suites of methods, metrics, scorers, suites and reports: what `prefbench check` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from prefbench.api import PrefbenchError, counted
from prefbench.api.near import unknown
from prefbench.check.findings import Finding, Listener
from prefbench.check.method import check_method
from prefbench.check.metric import check_metric
from prefbench.check.report import check_report
from prefbench.check.scorer import check_scorer
from prefbench.check.suite import check_suite

__all__ = [
    "Finding",
    "check",
    "check_method",
    "check_metric",
    "check_report",
    "check_scorer",
    "check_suite",
    "conclusion",
]

_SUITES: Mapping[str, Callable[..., list[Finding]]] = {
    "method": check_method,
    "metric": check_metric,
    "scorer": check_scorer,
    "report": check_report,
    "suite": check_suite,
}


def check(
    kind: str, name: str, parameters: Sequence[str] = (), *, listener: Listener = lambda _: None
) -> list[Finding]:
    """Runs a conformance suite.

    Args:
        kind: `method`, `metric`, `scorer`, `suite` or `report`.
        name: a registered name, or path/to/file.py:Class.
        parameters: of the constructor, as `name=value`.
        listener: receives each finding as soon as its check ends.

    Raises:
        PrefbenchError: an unknown kind, name or parameter.
    """
    if kind not in _SUITES:
        raise PrefbenchError(unknown("kind", kind, list(_SUITES)))
    # A proof looks at everybody; tests of a suite may look at fewer.
    everything = {"users": None} if kind == "suite" else {}
    return _SUITES[kind](name, parameters, listener=listener, **everything)


def conclusion(findings: Sequence[Finding]) -> str:
    """All findings in one line."""
    failed = [finding.check for finding in findings if not finding.passed]
    if failed:
        return f"{len(failed)} of {counted(len(findings), 'check')} FAILED: {', '.join(failed)}"
    skipped = sum(finding.outcome == "not applicable" for finding in findings)
    # What little was checked must not read like all of it.
    return (
        f"{skipped} of {counted(len(findings), 'check')} not applicable, in the others it conforms"
        if skipped
        else "conforms"
    )
