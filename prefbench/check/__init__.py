"""Conformance suites of methods, metrics, scorers and suites, as functions and as `prefbench check`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.check.findings import Finding
from prefbench.check.method import check_method
from prefbench.check.metric import check_metric
from prefbench.check.scorer import check_scorer
from prefbench.check.suite import check_suite
from prefbench.registry import unknown

__all__ = ["Finding", "check", "check_method", "check_metric", "check_scorer", "check_suite"]

_SUITES: Mapping[str, Callable[..., list[Finding]]] = {
    "method": check_method,
    "metric": check_metric,
    "scorer": check_scorer,
    "suite": check_suite,
}


def check(kind: str, name: str, parameters: Sequence[str] = (), *, as_json: bool = False) -> bool:
    """Runs a conformance suite, prints a line a check (or JSON), and says whether all of them passed.

    Args:
        kind: `method`, `metric`, `scorer` or `suite`.
        name: a registered name, or path/to/file.py:Class.
        parameters: of the constructor, as `name=value`.
        as_json: print a list of objects and nothing else.

    Raises:
        PrefbenchError: an unknown kind, name or parameter.
    """
    if kind not in _SUITES:
        raise PrefbenchError(unknown("kind", kind, list(_SUITES)))
    # A proof looks at everybody; tests of a suite may look at fewer.
    everything = {"users": None} if kind == "suite" else {}
    findings = _SUITES[kind](name, parameters, report=_silent if as_json else _print_line, **everything)
    passed = all(finding.passed for finding in findings)
    if as_json:
        print(json.dumps([_plain(finding) for finding in findings], indent=1))
        return passed
    print(f"{kind} {name}: {_verdict(findings)}")
    return passed


def _verdict(findings: Sequence[Finding]) -> str:
    failed = [finding.check for finding in findings if not finding.passed]
    if failed:
        return f"{len(failed)} of {len(findings)} checks FAILED: {', '.join(failed)}"
    left = sum(finding.outcome == "not applicable" for finding in findings)
    # A verdict on little must not read like one on all.
    return f"{left} of {len(findings)} checks not applicable, in the others it conforms" if left else "conforms"


def _print_line(finding: Finding) -> None:
    print(f"{finding.outcome:<14}  {finding.check:<22}  {finding.detail}", flush=True)


def _silent(finding: Finding) -> None:
    del finding


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "passed": finding.passed,
        "outcome": finding.outcome,
        "detail": finding.detail,
    }
