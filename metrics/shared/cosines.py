"""What metrics of likeness share: directions of features, and features of judged pictures in one pass for all users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np

from prefbench.api import Evidence, Features, Picture, PrefbenchError, Scored, Viewer

T = TypeVar("T")
Judgments = dict[Viewer, list[tuple[str, str]]]
"""For each part of a history the users, and the digest of what each judged."""


class PerRun(Generic[T]):
    """What follows from the judgments that a run's evidence holds, worked out once for all runs of the same ones.

    A metric is made for one suite, so the features of judged pictures are the same where the judgments are.
    """

    def __init__(self, work_out: Callable[[Evidence], T]) -> None:
        self._work_out = work_out
        self._last: tuple[Evidence, Judgments, T] | None = None

    def __call__(self, evidence: Evidence) -> T:
        if self._last is None or self._last[0] is not evidence:
            judgments = {
                viewer: [(user, history.digest) for user, history in histories.items()]
                for viewer, histories in evidence.histories.items()
            }
            same = self._last is not None and self._last[1] == judgments
            found = self._last[2] if self._last is not None and same else self._work_out(evidence)
            self._last = evidence, judgments, found
        return self._last[2]


def units(features: Features) -> Features:
    """Rows (N, D) scaled to norm 1; NaN for rows without a direction, whose cosine with anything is unknown."""
    norms = np.linalg.norm(features, axis=-1, keepdims=True)
    scaled: Features = np.divide(features, norms, out=np.full_like(features, np.nan), where=norms > 0)
    return scaled


def nearest(rows: Features, others: Features) -> Features:
    """Cosine (N,) of unit rows (N, D) with the nearest of others (M, D); NaN for rows without a direction and M = 0."""
    others = others[np.isfinite(others).all(axis=1)]
    if not len(others) or not len(rows):
        return np.full(len(rows), np.nan)
    closest: Features = (rows @ others.T).max(axis=1)
    return closest


def judged_units(pictures: Mapping[str, Sequence[Picture]], evidence: Evidence) -> dict[str, Features]:
    """User to `units` (N, D) of some judged pictures, N = 0 for those without; one pass for all users."""
    rows = units(evidence.judged_features([picture for mine in pictures.values() for picture in mine]))
    ends = np.cumsum([len(mine) for mine in pictures.values()])
    return dict(zip(pictures, np.split(rows, ends[:-1]), strict=True))


def feature_rows(metric: str, role: str, samples: Sequence[Scored], features: Features | None) -> Features:
    """The features, one row a sample. Raises `PrefbenchError` where there are none or another number."""
    if features is None or len(features) != len(samples):
        raise PrefbenchError(f"{metric} needs one feature row a sample; give the suite a `{role}` extractor")
    return features


def rows_of_users(samples: Sequence[Scored]) -> dict[str, list[int]]:
    """User to the places of their samples."""
    rows: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        rows.setdefault(sample.user, []).append(i)
    return rows
