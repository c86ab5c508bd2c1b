"""Whether pictures for fresh users are drawings as those of the run must be.

Else a method that knows the public users could draw honestly for them, and buy its numbers with noise or copies where
it is asked to draw for others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prefbench.api import Suite
from prefbench.api.reports import Bar
from prefbench.check.findings import run_checks
from prefbench.run.folder import RunFolder

from . import grain, pictures, reread
from .audited_run import AuditedRun, split_of
from .contents import read_shown

_CHECKS: Mapping[str, Callable[[AuditedRun], str]] = {
    "equal pictures": pictures.equal,
    "read again": reread.again,
    "grain": grain.along,
}


def faults(folder: RunFolder, suite: Suite, bar: Bar) -> list[dict[str, str]]:
    """The checks that the pictures of a scored run of fresh users fail, each with what it found."""
    spec = folder.read_description()["spec"]
    split = split_of(spec)
    run = AuditedRun(folder, suite, read_shown(suite, split, spec["users"]), bar)
    found = run_checks({name: partial(check, run) for name, check in _CHECKS.items()}, lambda _: None)
    return [{"check": one.check, "detail": one.detail} for one in found if not one.passed]
