"""The outcome of checks, and how they are run: a check returns what it measured, or stops with another outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from prefbench.api import PrefbenchError
from prefbench.api.guard import guarded, reason

Row = Mapping[str, Any]
"""One thing that a finding is about, as plain data: a sample's key and what is wrong with it."""
Rows = Sequence[Row]
Outcome = Literal["ok", "warning", "FAILED", "not applicable"]
Check = Callable[[], str]
"""Returns what was measured; stops with `fail`, `warn` or `skip`."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check, and what was measured."""

    check: str
    outcome: Outcome
    detail: str
    rows: Rows = ()

    @property
    def passed(self) -> bool:
        """Only a failure does not pass."""
        return self.outcome != "FAILED"


Listener = Callable[[Finding], object]
"""Receives each finding as soon as its check ends."""


class Stopped(Exception):  # noqa: N818 - not an error: it carries an outcome to `run_checks`
    """Ends a check with another outcome than `ok`."""

    def __init__(self, outcome: Outcome, detail: str, rows: Rows = ()) -> None:
        super().__init__(detail)
        self.outcome, self.detail, self.rows = outcome, detail, rows


def fail(detail: str, rows: Rows = ()) -> NoReturn:
    """The rule is broken, by `rows` where these can be named."""
    raise Stopped("FAILED", detail, rows)


def warn(detail: str, rows: Rows = ()) -> NoReturn:
    """The rule holds, but somebody should look, at `rows` where these can be named."""
    raise Stopped("warning", detail, rows)


def skip(detail: str) -> NoReturn:
    """The rule has nothing to say here."""
    raise Stopped("not applicable", detail)


def run_checks(checks: Mapping[str, Check], listener: Listener) -> list[Finding]:
    """Runs every check, whatever the others found. An exception that escapes from a check is a failure."""
    findings = []
    for name, check in checks.items():
        finding = _run(name, check)
        listener(finding)
        findings.append(finding)
    return findings


def _run(name: str, check: Check) -> Finding:
    try:
        with guarded(f"check {name!r}", "the plug-in", passes=(Stopped,)):
            return Finding(name, "ok", check())
    except Stopped as stopped:
        return Finding(name, stopped.outcome, stopped.detail, stopped.rows)
    except PrefbenchError as error:
        return Finding(name, "FAILED", one_line(error))


def one_line(error: BaseException) -> str:
    """An exception's class and message without line breaks, at most 200 characters."""
    return reason(error)[:200]
