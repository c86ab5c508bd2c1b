"""Bad input to probes is one clear line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from prefbench.api import FloatArray, PrefbenchError
from prefbench.probing import (
    ProbedLayer,
    StatePair,
    choose_layers,
    crossed_folds,
    liking,
    probe_liking,
    probe_users,
    retrieval,
    verification,
)
from prefbench.probing.preference_probe import control_task
from tests.support.probing import PER_USER, USERS, WIDTH, probe_labels


def holed(matrix: FloatArray) -> FloatArray:
    copy = matrix.copy()
    copy[3, 2] = np.nan
    return copy


STATES = np.random.default_rng(17).standard_normal((2 * USERS * PER_USER, WIDTH))
LABELS = probe_labels(np.random.default_rng(17))
PAIR = StatePair(STATES[:USERS], STATES[USERS : 2 * USERS])
LAYER = ProbedLayer(0, "last")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: liking(holed(STATES), LABELS), "1 of 640 states hold NaN"),
        (lambda: liking(STATES[:-1], LABELS), "639 states for 640 labels"),
        (lambda: liking(STATES[:, 0], LABELS), "must be a matrix"),
        (lambda: crossed_folds(LABELS, folds=50), "50 folds need as many users, got 40"),
        (lambda: crossed_folds(LABELS, folds=30), "30 folds need as many prompts, got 20"),
        (lambda: control_task(STATES, LABELS, np.full(len(LABELS), "one")), "0 of the users have liked and disliked"),
        (lambda: probe_liking({}, LABELS), "no states of any layer"),
        (lambda: probe_liking({LAYER: STATES}, LABELS, mismatched={}), "lack layer 0, pooling last"),
        (lambda: probe_liking({LAYER: STATES}, LABELS, types=LABELS.images[:3]), "3 types for 640 labels"),
        (lambda: verification(StatePair(holed(PAIR.first), PAIR.second)), "1 of 40 states hold NaN"),
        (lambda: verification(StatePair(PAIR.first[:1], PAIR.second[:1])), "needs at least 2, got 1"),
        (lambda: verification(StatePair(PAIR.first[:9], PAIR.second[:9]), comparison="whitened"), "at least 10, got 9"),
        (lambda: verification(StatePair(PAIR.first, PAIR.second[1:])), "differ in shape"),
        (lambda: verification(PAIR, comparison="cosin"), "no comparison 'cosin'; there are cosine, whitened"),  # type: ignore[arg-type]
        (lambda: retrieval(PAIR, gallery=41), "2 to 40 users here, not 41"),
        (lambda: retrieval(PAIR, gallery=1), "2 to 40 users here, not 1"),
        (lambda: probe_users({LAYER: PAIR}, floor=StatePair(STATES[:3], STATES[:3])), "the floor has 3 users"),
        (lambda: choose_layers({LAYER: PAIR}, 2), "2 layers cannot be chosen from"),
        (lambda: choose_layers({LAYER: PAIR}, 1, candidates=[7]), "no states of layer 7"),
        (lambda: choose_layers({LAYER: StatePair(STATES[:3], STATES[3:6])}, 1), "at least 4, got 3"),
        (
            lambda: choose_layers({LAYER: PAIR, ProbedLayer(1, "last"): StatePair(STATES[:9], STATES[:9])}, 1),
            "different numbers of users",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(PrefbenchError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
