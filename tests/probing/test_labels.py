"""Labels of probes, with meaning and without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prefbench.api import PrefbenchError
from prefbench.probing import control_labels
from tests.support.probing import probe_labels


def test_control_labels_are_fixed_for_a_type_and_random_over_types() -> None:
    types = np.array([f"image {n}" for n in range(2000)])
    labels = control_labels(types, share=0.3)
    assert 0.26 < labels.mean() < 0.34
    assert np.array_equal(control_labels(types[::-1], share=0.3), labels[::-1])
    assert not np.array_equal(control_labels(types, share=0.3, seed=1), labels)


def test_bad_questions_are_one_clear_line() -> None:
    labels = probe_labels(np.random.default_rng(16))
    everything = np.ones(len(labels), dtype=bool)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"liked": everything}, "0 of the users have liked and disliked images"),
        ({"users": np.full(len(labels), "ann")}, "1 of the users has liked and disliked"),
        ({"users": labels.users[:-1]}, "differ in length"),
        ({"liked": np.where(labels.liked, 1.0, np.nan)}, "liked must be of dtype bool, not float64"),
        ({"images": np.full(len(labels), "one")}, "under two prompts"),
    ]
    for change, message in changes:
        with pytest.raises(PrefbenchError, match=message) as caught:
            replace(labels, **change)
        assert "\n" not in str(caught.value)
