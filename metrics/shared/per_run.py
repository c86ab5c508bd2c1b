"""Caches what is computed from a run's judgments, for all runs with the same judgments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefbench.api import Evidence

T = TypeVar("T")


def cached_per_run(work_out: Callable[[Evidence], T]) -> Callable[[Evidence], T]:
    """The function with its last value cached, which is returned again for the same users' judgments.

    A run is scored in chunks under one evidence, and several runs of one suite hold the same judgments. A metric is
    made for one suite, so the features of judged pictures are the same where the judgments are.
    """
    last: tuple[Evidence, tuple[tuple[str, str, str], ...], T] | None = None

    def value(evidence: Evidence) -> T:
        nonlocal last
        if last is None or last[0] is not evidence:
            judgments = _judgments(evidence)
            same = last is not None and last[1] == judgments
            last = evidence, judgments, last[2] if last is not None and same else work_out(evidence)
        return last[2]

    return value


def _judgments(evidence: Evidence) -> tuple[tuple[str, str, str], ...]:
    """For each viewer and user, the digest of the user's judgments."""
    return tuple(
        (viewer, user, history.digest)
        for viewer, histories in evidence.histories.items()
        for user, history in histories.items()
    )
