"""Inter-user probes in worlds whose truth is planted, and against independent implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from prefbench.probing import VERIFICATION, StatePair, probe_users, retrieval, similarities, verification
from tests.support.probing import USER_LAYER, USERS, WIDTH, at_chance, best, bounds, pairs, value_of


def test_users_are_found_in_the_layer_they_were_planted_in() -> None:
    rows = probe_users(pairs(np.random.default_rng(0), planted=2.0), gallery=5)
    winner = best(rows, VERIFICATION)
    assert (winner.layer, winner.pooling) == (USER_LAYER, "last")
    assert bounds(winner)[0] > 0.9
    assert winner.selectivity is not None
    assert winner.selectivity > 0.3
    assert (best(rows, "retrieval@5").layer, best(rows, "retrieval@5").pooling) == (USER_LAYER, "last")
    assert all(bounds(row)[0] < 0.6 for row in rows if row.layer != USER_LAYER)


@pytest.mark.slow
@pytest.mark.parametrize("comparison", ["cosine", "whitened"])
def test_intervals_of_verification_cover_the_truth(comparison: Any) -> None:
    """Against the mean of many worlds, at a middling AUC."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        first, second = rng.standard_normal((2, USERS, WIDTH)) + 0.6 * rng.standard_normal((USERS, WIDTH))
        found.append(verification(StatePair(first, second), comparison=comparison))
    truth = np.mean([value_of(estimate) for estimate in found])
    assert 0.6 < truth < 0.9
    covered = np.mean([bounds(e)[0] <= truth <= bounds(e)[1] for e in found])
    assert covered >= 0.88
    widths = np.mean([bounds(e)[1] - bounds(e)[0] for e in found])
    assert widths < 6 * np.std([value_of(e) for e in found]), "not by being wide"


def test_whitening_finds_users_under_noise_that_hides_them_from_cosine() -> None:
    """Noise in a few directions, the same for all: it moves histories of one user apart."""
    gains = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        loud, users = 2 * rng.standard_normal((3, WIDTH)), rng.standard_normal((USERS, WIDTH))
        noise = [rng.standard_normal((USERS, 3)) @ loud + 0.7 * rng.standard_normal((USERS, WIDTH)) for _ in range(2)]
        pair = StatePair(users + noise[0], users + noise[1])
        gains.append(value_of(verification(pair, comparison="whitened")) - value_of(verification(pair)))
    assert min(gains) > 0.05


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.slow
def test_verification_equals_scikit_learn_and_the_bootstrap_of_users(crowded: bool) -> None:
    """Also where users resemble each other in crowds: then who else was drawn moves the figure too."""
    rng = np.random.default_rng(7)
    centre = rng.standard_normal((6, 300))[np.repeat(np.arange(6), [20, 8, 4, 4, 2, 2])]
    apart = 0.7 * rng.standard_normal(centre.shape)
    taste = 0.7 * rng.standard_normal((USERS, WIDTH))
    pair = (
        StatePair(centre + apart, centre - apart)
        if crowded
        else StatePair(*rng.standard_normal((2, USERS, WIDTH)) + taste)
    )
    similar, same = similarities(pair), np.eye(USERS, dtype=bool)
    found = verification(pair)
    assert found.value == pytest.approx(roc_auc_score(same.ravel(), similar.ravel()))
    drawn = []
    for _ in range(300):
        users = rng.integers(USERS, size=USERS)
        kept = (users[:, None] != users[None]) | same  # a user drawn twice is no stranger
        drawn.append(roc_auc_score(same[kept], similar[np.ix_(users, users)][kept]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert bounds(found) == pytest.approx((low, high), abs=0.04)
    assert bounds(found)[1] - bounds(found)[0] == pytest.approx(high - low, rel=0.12)


def test_intervals_stay_between_nothing_and_all() -> None:
    rng = np.random.default_rng(2)
    taste = 1.2 * rng.standard_normal((10, WIDTH))
    found = verification(StatePair(*rng.standard_normal((2, 10, WIDTH)) + taste))
    assert value_of(found) < 1
    assert bounds(found)[1] == 1


def test_whitening_learns_on_other_users_than_it_compares() -> None:
    """Whitened by their own differences, two histories of noise would look like one user's."""
    values = []
    for seed in range(20):
        noise = StatePair(*np.random.default_rng(seed).standard_normal((2, USERS, 30)))
        values.append(value_of(verification(noise, comparison="whitened")))
    assert 0.46 < np.mean(values) < 0.54


def test_retrieval_equals_drawn_galleries() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.standard_normal((2, USERS, WIDTH)) + 0.7 * rng.standard_normal((USERS, WIDTH))
    similar, hits = similarities(StatePair(first, second)), []
    for _ in range(100):
        for direction in (similar, similar.T):
            for user in range(USERS):
                others = rng.choice(np.delete(np.arange(USERS), user), size=4, replace=False)
                hits.append(direction[user, user] > direction[user, others].max())
    assert retrieval(StatePair(first, second), gallery=5).value == pytest.approx(np.mean(hits), abs=0.03)
    assert at_chance(retrieval(StatePair(*rng.standard_normal((2, 200, WIDTH))), gallery=10), 0.1)
