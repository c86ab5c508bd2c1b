"""The version of a run's method, where runs with other people are compared."""

from __future__ import annotations

from prefbench.api import ScoredRun


def comparable_version(run: ScoredRun, version: str) -> str:
    """`version` as `run.json` holds it, without what the run's method learned from the people that it asked for.

    Whose people are others learned something else and is the same method all the same.
    """
    return version.rpartition("+")[0] if run.description["method"].get("asks_people") else version
