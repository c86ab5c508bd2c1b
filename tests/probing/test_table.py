"""The table of both probes."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.probing import LIKING, StatePair, probe_liking, probe_users, table
from tests.support.probing import LAST, PROBED, USERS, at_chance, item_states, pairs, probe_labels


@pytest.mark.slow
def test_a_world_without_taste_gives_chance_everywhere() -> None:
    rng = np.random.default_rng(3)
    labels = probe_labels(rng)
    rows = probe_users(pairs(rng, planted=0.0)) + probe_liking(item_states(rng, labels, planted=0.0), labels)
    tested = [row for row in rows if not row.task.startswith("retrieval")]
    missed = [row for row in tested if not at_chance(row)]
    assert len(tested) == len(PROBED) + 2 * len(LAST)
    assert len(missed) <= 2, "of 20 intervals of 95 % two may miss"
    assert 0.47 < np.mean([row.value for row in tested if row.task == LIKING]) < 0.53, "folds pull nothing off chance"


@pytest.mark.slow
def test_the_table_holds_every_row() -> None:
    rng = np.random.default_rng(15)
    labels = probe_labels(rng)
    floor = StatePair(*rng.standard_normal((2, USERS, 4)))
    rows = probe_users(pairs(rng, planted=1.0), floor=floor) + probe_liking(
        item_states(rng, labels, planted=0.5), labels
    )
    frame = table(rows)
    named = ["layer", "pooling", "task", "value", "low", "high", "n", "floor", "mismatched", "control", "selectivity"]
    assert list(frame.columns) == named
    assert len(frame) == 2 * len(PROBED) + 2 * len(LAST)
    assert (frame.selectivity == frame.value - frame.control).all()
    assert frame.mismatched.isna().all()
    assert frame.floor.isna().sum() == 2 * len(LAST), "only users were given a floor"
