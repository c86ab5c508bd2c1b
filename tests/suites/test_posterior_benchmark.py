"""The benchmark of how far two searches agree, on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.posterior import agreement


def test_the_error_of_the_mean_is_that_of_a_user_over_the_root_of_their_number() -> None:
    found = agreement(np.array([[0.5, 0.1], [0.2, 0.2], [0.3, 0.6], [0.4, 0.4]]))
    assert found["utility"] == pytest.approx([0.35, 0.325])
    assert found["difference"] == pytest.approx(0.025)
    assert found["standard_deviation_of_a_user"] == pytest.approx(0.25)
    assert found["standard_deviation_of_the_mean"] == pytest.approx(0.125)
