"""`audit.json`: what the last audit of a run found, for reports that ask for it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, cast

from prefbench.api import PrefbenchError, Sample
from prefbench.check.findings import Finding
from prefbench.files import read_plain, write_atomic
from prefbench.run.folder import RunFolder
from prefbench.run.stamps import stamped, unstamped
from prefbench.score.score_files import samples_digests

FILE = "audit.json"
_BYTES = 2**20


class AuditOutcome(TypedDict):
    """The outcome of an audit of these samples."""

    samples: str
    checks: int
    failed: list[str]
    warned: list[str]
    fresh: str
    """What was found for fresh users; empty where none were drawn for."""
    date: str


def store_outcome(folder: RunFolder, samples: Sequence[Sample], findings: Sequence[Finding], fresh: str) -> None:
    """Keeps the outcome beside the run; of a folder that cannot be written nothing."""
    outcome: AuditOutcome = {
        "samples": samples_digests(samples, folder.owner)[0],
        "checks": len(findings),
        "failed": [one.check for one in findings if not one.passed],
        "warned": [one.check for one in findings if one.outcome == "warning"],
        "fresh": fresh,
        "date": datetime.now(UTC).date().isoformat(),
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
    return cast("AuditOutcome", content) if current else None
