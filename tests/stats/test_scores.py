"""Scores refuse what would make every statistic of them wrong."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.api import Scores
from prefbench.stats.paired import paired_difference


def test_scores_refuse_what_they_cannot_hold() -> None:
    names = np.array(["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        Scores(np.zeros(3), names, names)
    with pytest.raises(ValueError, match="infinite"):
        Scores(np.array([0.0, np.inf]), names, names)
    twice = Scores(np.zeros(2), names, names, np.array(["k", "k"]))
    with pytest.raises(ValueError, match="not unique"):
        paired_difference(twice, twice)
