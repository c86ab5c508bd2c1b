"""For similarity metrics: directions of features, and features of judged pictures in one pass for all users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prefbench.api import Evidence, Features, Picture


def normalised(features: Features) -> Features:
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


def judged_directions(pictures: Mapping[str, Sequence[Picture]], evidence: Evidence) -> dict[str, Features]:
    """User to `normalised` rows (N, D) of some judged pictures, N = 0 for those without; one pass for all users."""
    rows = normalised(evidence.judged_features([picture for mine in pictures.values() for picture in mine]))
    ends = np.cumsum([len(mine) for mine in pictures.values()])
    return dict(zip(pictures, np.split(rows, ends[:-1]), strict=True))
