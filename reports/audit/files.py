"""Whether every file of a run is as prefbench wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prefbench.api import PrefbenchError, counted
from prefbench.api.runs import is_given
from prefbench.check.findings import fail, warn
from prefbench.score.score_files import read_summary

from .audited_run import AuditedRun


def whole(run: AuditedRun) -> str:
    """Every file has a format, every row its fields and its sum; each user that was drawn for here has a profile.

    Scores have a check of their own.
    """
    folder = run.folder
    readers: Mapping[str, Callable[[], object]] = {
        "samples": lambda: run.samples,
        "profiles": folder.profiles,
        "starts": folder.starts,
        "representations": folder.representations,
    }
    faults = {name: fault for name, read in readers.items() if (fault := _fault(read))}
    if folder.scored() and not faults and read_summary(folder) is None:
        faults["summary"] = f"it is not as it was written; prefbench score {folder.path}"
    if faults:
        rows = [{"file": name, "fault": fault} for name, fault in faults.items()]
        fail(f"{counted(len(faults), 'kind')} of file cannot be relied on", rows)
    stored = folder.owner.format
    if stored == 1:
        warn("the files are of format 1, as of version 0.2 and older: without digests not every edit can be found")
    profiled = {row.user for row in folder.profiles().values()}
    lost = sorted({sample.user for sample in run.samples} - profiled)
    if lost and not is_given(run.spec):
        warn(f"{counted(len(lost), 'user')} with samples have no profile", [{"user": user} for user in lost])
    return f"{len(readers)} kinds of file, of format {stored}, each as it was written"


def _fault(read: Callable[[], object]) -> str:
    try:
        read()
    except PrefbenchError as error:
        return str(error)
    return ""
