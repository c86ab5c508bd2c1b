"""`audit.json`: what the last audit of a run found, for reports that ask for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from typing_extensions import TypedDict  # that of `typing` cannot be checked by pydantic before Python 3.12

from prefbench.api import PrefbenchError, Sample, plain
from prefbench.api.runs import is_given
from prefbench.files import read_plain, write_atomic
from prefbench.parameters import declared
from prefbench.registry import load_class, names
from prefbench.run.folder import RunFolder
from prefbench.run.stamps import stamped, unstamped
from prefbench.score.score_files import samples_digests

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from prefbench.check.findings import Finding  # its package loads diffusers, which who reads outcomes need not

FILE = "audit.json"
PARAMETER = "population"
"""The parameter of a suite that makes its users: an integer, from which all of them follow."""
_BYTES = 2**20
_DETAIL = 2_000
"""Characters that are kept of what a check measured."""


class Fresh(NamedTuple):
    """What an audit found for fresh users."""

    users: int
    """0 where none were drawn for."""
    text: str


class KeptFinding(TypedDict):
    """A finding without the rows that it is about."""

    check: str
    outcome: Literal["ok", "warning", "FAILED", "not applicable"]
    detail: str


class AuditOutcome(TypedDict):
    """The outcome of an audit of these samples."""

    samples: str
    checks: int
    failed: list[str]
    warned: list[str]
    fresh: str
    """What was found for fresh users; empty where none were drawn for."""
    fresh_users: int
    """How many these were."""
    failed_before: int
    """How many earlier audits of the same samples failed."""
    date: str
    findings: list[KeptFinding]
    """Every check with its outcome and what it measured; empty in those of older versions."""


def can_be_fresh(spec: Mapping[str, Any]) -> bool:
    """Whether new users can be made for a run by what its spec says alone: its suite has a name and makes its users."""
    if is_given(spec) or spec["suite"] not in names("suite"):
        return False
    return spec["control"] in (None, *names("control")) and PARAMETER in declared(load_class("suite", spec["suite"]))


def store_outcome(folder: RunFolder, samples: Sequence[Sample], findings: Sequence[Finding], fresh: Fresh) -> None:
    """Keeps the outcome beside the run; of a folder that cannot be written nothing."""
    before = stored_outcome(folder.path, samples)
    outcome: AuditOutcome = {
        "samples": samples_digests(samples, folder.owner)[0],
        "checks": len(findings),
        "failed": [one.check for one in findings if not one.passed],
        "warned": [one.check for one in findings if one.outcome == "warning"],
        "fresh": fresh.text,
        "fresh_users": fresh.users,
        "failed_before": 0 if before is None else before["failed_before"] + bool(before["failed"]),
        "date": datetime.now(UTC).date().isoformat(),
        "findings": [
            {"check": one.check, "outcome": one.outcome, "detail": plain(one.detail, _DETAIL)} for one in findings
        ],
    }
    if os.access(folder.path, os.W_OK):
        write_atomic(folder.path / FILE, json.dumps(stamped(outcome), indent=1) + "\n", inside=folder.path)


def stored_outcome(path: Path, samples: Sequence[Sample]) -> AuditOutcome | None:
    """The outcome of the last audit of a run; None where there is none of these samples.

    Raises:
        PrefbenchError: the file is not as it was written.
    """
    try:
        content = unstamped(path / FILE, read_plain(path / FILE, _BYTES))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PrefbenchError(f"{path / FILE} is damaged ({error}): prefbench audit {path}") from None
    current = content.get("samples") in samples_digests(samples, RunFolder(path).owner)
    if not current:
        return None
    added = {"fresh_users": 0, "failed_before": 0, "findings": []}  # of audits before these were kept
    try:
        return _outcomes().validate_python(added | content, strict=True)
    except ValueError:
        raise PrefbenchError(f"{path / FILE} is damaged (it holds no outcome): prefbench audit {path}") from None


@cache
def _outcomes() -> TypeAdapter[AuditOutcome]:
    from pydantic import TypeAdapter

    return TypeAdapter(AuditOutcome)
