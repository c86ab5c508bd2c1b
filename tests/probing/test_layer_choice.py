"""The choice of layers finds what was planted and reports no luck."""

from __future__ import annotations

import numpy as np

from prefbench.probing import ProbedLayer, StatePair, choose_layers, verification
from tests.support.probing import USER_LAYER, USERS, WIDTH, bounds, pairs, value_of


def test_the_choice_finds_the_planted_layer_and_its_pooling() -> None:
    choice = choose_layers(pairs(np.random.default_rng(13), planted=2.0), 1)
    assert (choice.layers, choice.pooling) == ((USER_LAYER,), "last")
    assert choice.halves == ((ProbedLayer(USER_LAYER, "last"),),) * 2
    assert bounds(choice.estimate)[0] > 0.85
    assert choice.estimate.n_users == USERS


def test_the_choice_reports_no_luck_of_the_draw() -> None:
    """Of many layers of noise the best looks good on the users it was chosen on, and not on others."""
    nested, naive = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        noise = {ProbedLayer(layer, "last"): StatePair(*rng.standard_normal((2, USERS, WIDTH))) for layer in range(15)}
        choice = choose_layers(noise, 1)
        nested.append(value_of(choice.estimate))
        naive.append(value_of(verification(noise[ProbedLayer(choice.layers[0], "last")])))
    assert np.mean(naive) > 0.56
    assert 0.45 < np.mean(nested) < 0.54


def test_candidates_limit_the_choice() -> None:
    choice = choose_layers(pairs(np.random.default_rng(14), planted=2.0), 2, candidates=(0, 1, 3))
    assert set(choice.layers) <= {0, 1, 3}
    assert len(choice.layers) == 2
