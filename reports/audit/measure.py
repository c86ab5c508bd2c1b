"""The checks of one run against its suite: its users, what they were shown, what no method may see or learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prefbench.api import Suite
from prefbench.check.findings import Finding, Report, run_checks
from prefbench.run.folder import RunFolder

from . import pictures, prompts, provenance, training, users
from .material import Material
from .seen import Seen

_CHECKS: Mapping[str, Callable[[Material], str]] = {
    "description": provenance.description,
    "suite": provenance.suite,
    "users": users.users,
    "rows": users.rows,
    "seeds": users.seeds,
    "targets": prompts.targets,
    "trained on": training.declared,
    "prompts seen": prompts.exact,
    "prompts near": prompts.near,
    "images": provenance.images,
    "equal pictures": pictures.equal,
    "near held-out": partial(pictures.near, standing="held-out"),
    "near shown": partial(pictures.near, standing="shown"),
    "near learned": partial(pictures.near, standing="learned"),
    "scores": provenance.scores,
}


def audit(folder: RunFolder, suite: Suite, seen: Seen, *, report: Report = lambda _: None) -> list[Finding]:
    """Audits one run.

    Args:
        folder: the run; it may be unfinished or unscored, which is said.
        suite: the suite that the run names, as it is now.
        seen: what `collect` found in that suite for the run's split; runs of one suite and split share it.
        report: told each finding as soon as it is there.

    Returns:
        One finding a check, in the order shown: `FAILED` where a rule is broken, `warning` where somebody should look,
        each with the rows it is about.

    Raises:
        PrefbenchError: the folder is no run.
    """
    material = Material(folder, suite, seen)
    return run_checks({name: partial(check, material) for name, check in _CHECKS.items()}, report)
