"""Conformance suites: what every method, metric and suite has to hold to, as functions and as `prefbench check`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.registry import unknown
from prefbench.testing.findings import Finding
from prefbench.testing.method import check_method
from prefbench.testing.metric import check_metric
from prefbench.testing.suite import check_suite

__all__ = ["Finding", "check", "check_method", "check_metric", "check_suite"]

_SUITES: Mapping[str, Callable[..., list[Finding]]] = {
    "method": check_method,
    "metric": check_metric,
    "suite": check_suite,
}


def check(kind: str, name: str, parameters: Sequence[str] = (), *, as_json: bool = False) -> bool:
    """Runs a conformance suite, prints a line a check (or JSON), and says whether all of them passed.

    Args:
        kind: `method`, `metric` or `suite`.
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
    failed = [finding.check for finding in findings if not finding.passed]
    verdict = f"{len(failed)} of {len(findings)} checks FAILED: {', '.join(failed)}" if failed else "conforms"
    print(f"{kind} {name}: {verdict}")
    return passed


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
