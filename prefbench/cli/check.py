"""`prefbench check`: conformance of plug-ins and suites, and the quality of shipped weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import click

from prefbench.api import PrefbenchError, fixed
from prefbench.cli.options import as_json, print_json

if TYPE_CHECKING:
    from prefbench.check import Finding
    from prefbench.registry import Kind


KINDS = ("method", "metric", "scorer", "suite", "report", "weights")


@click.command()
@click.argument("kind")
@click.argument("name")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE")
@click.option("-s", "--suite-parameter", "of_suite", multiple=True, metavar="NAME=VALUE", help="-p, of a suite.")
@as_json
def check(kind: str, name: str, parameters: tuple[str, ...], of_suite: tuple[str, ...], as_json: bool) -> None:
    """Check a plug-in for conformance, prove a suite's splits disjoint, or measure shipped weights.

    KIND is method, metric, scorer, suite, report or weights.
    """
    from prefbench.api.near import unknown
    from prefbench.registry import check_name

    if kind not in KINDS:
        raise PrefbenchError(unknown("kind", kind, list(KINDS)))
    if of_suite and kind != "suite":
        raise PrefbenchError(f"-s {of_suite[0]} is for checking suites; parameters of a {kind} go after -p")
    parameters += of_suite
    check_name(cast("Kind", kind), name)
    passed = _check_weights(name, as_json=as_json) if kind == "weights" else _check(kind, name, parameters, as_json)
    raise SystemExit(0 if passed else 1)


def _check(kind: str, name: str, parameters: tuple[str, ...], as_json: bool) -> bool:
    """Runs a conformance suite and shows one line per check; whether all of them passed."""
    from prefbench.check import check as conform
    from prefbench.check import conclusion
    from prefbench.cli.screen import Screen

    screen = Screen()
    if as_json:
        findings = conform(kind, name, parameters)
        fields = ("check", "passed", "outcome", "detail")
        print_json([{field: getattr(one, field) for field in fields} for one in findings])
    else:
        findings = conform(kind, name, parameters, listener=lambda finding: screen.line(_line(finding)))
        screen.line(f"{kind} {name}: {conclusion(findings)}")
    return all(finding.passed for finding in findings)


def _line(finding: Finding) -> str:
    return f"{finding.outcome:<14}  {finding.check:<22}  {finding.detail}"


def _check_weights(name: str, *, as_json: bool) -> bool:
    """Measures shipped weights, shows each figure beside its floor and goal; whether all floors hold."""
    from prefbench.cli.plain import print_table
    from prefbench.registry import make

    figures = make("weights", name)
    if as_json:
        print_json([{**asdict(figure), "reached": figure.reached} for figure in figures])
    else:
        rows = [
            [f.name, fixed(f.value, 3), "" if f.floor is None else f.floor, f.goal, "ok" if f.reached else "MISSED"]
            for f in figures
        ]
        print_table(["figure", "value", "floor", "goal", ""], rows)
    return all(figure.reached for figure in figures)
