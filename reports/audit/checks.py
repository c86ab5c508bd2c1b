"""The checks of one run against its suite: its users, what they were shown, what no method may see or learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prefbench.api import Sample, Suite
from prefbench.api.reports import Bar, no_bar
from prefbench.check.findings import Finding, Listener, run_checks
from prefbench.run.folder import RunFolder

from . import code, files, fresh, grain, pictures, prompts, provenance, reread, training, users
from .audited_run import AuditedRun
from .contents import SuiteContents

CHECKS: Mapping[str, Callable[[AuditedRun], str]] = {
    "files": files.whole,
    "description": provenance.description,
    "code": code.reach,
    "suite": provenance.suite,
    "suite pictures": pictures.readable,
    "users": users.users,
    "rows": users.rows,
    "seeds": users.seeds,
    "targets": prompts.targets,
    "trained on": training.declared,
    "prompts seen": prompts.exact,
    "prompts near": prompts.near,
    "images": provenance.images,
    "prompts read": prompts.read,
    "pictures": pictures.shown,
    "equal pictures": pictures.equal,
    "near held-out": partial(pictures.near, visibility="held-out"),
    "near shown": partial(pictures.near, visibility="shown"),
    "near learned": partial(pictures.near, visibility="learned"),
    "scores": provenance.scores,
    "read again": reread.again,
    "grain": grain.along,
    "fresh users": fresh.compared,
}


def audit(
    folder: RunFolder,
    suite: Suite,
    contents: SuiteContents,
    *,
    listener: Listener = lambda _: None,
    bar: Bar = no_bar,
    rows: Iterable[Sample] | None = None,
    no_fresh: str = "",
) -> list[Finding]:
    """Audits one run.

    Args:
        folder: the run; it may be unfinished or unscored, which the findings state.
        suite: the suite that the run names, as it is now.
        contents: what `read_suite` read of that suite for the run's split; runs of one suite and split share it.
        listener: receives each finding as soon as its check ends.
        bar: shows how far the checks of pictures are.
        rows: of the run, where they were read before.
        no_fresh: why fresh users that were asked for cannot be made.

    Returns:
        One finding per check, in the order shown, each with the rows it is about: `FAILED` where a rule is broken,
        `warning` where somebody should look.

    Raises:
        PrefbenchError: the folder is no run.
    """
    run = AuditedRun(folder, suite, contents, bar, rows, no_fresh)
    return run_checks({name: partial(check, run) for name, check in CHECKS.items()}, listener)
