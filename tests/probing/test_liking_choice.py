"""Layers that tell likes from dislikes are found where they are planted, and none is where nothing was."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.api import FloatArray, PrefbenchError
from prefbench.probing import LikingChoice, ProbedLayer, ProbeLabels, choose_layers, choose_liking_layers
from tests.support.probing import LAST, LIKING_LAYER, USER_LAYER, at_chance, bounds, item_states, pairs, probe_labels


@pytest.fixture(scope="module")
def labels() -> ProbeLabels:
    return probe_labels(np.random.default_rng(0))


def chosen(labels: ProbeLabels, own: float, other: float) -> LikingChoice:
    states, mismatched = (
        item_states(np.random.default_rng(seed), labels, planted=planted) for seed, planted in ((1, own), (2, other))
    )
    return choose_liking_layers(states, labels, mismatched, repeats=2)


def test_the_planted_layer_is_chosen_alone_and_always(labels: ProbeLabels) -> None:
    choice = chosen(labels, 0.8, 0.0)
    assert choice.layers == (LIKING_LAYER,)
    stability = {one.layer.layer: one.stability for one in choice.tested}
    assert stability.pop(LIKING_LAYER) == 1
    assert max(stability.values()) <= 0.25
    assert bounds(choice.nested)[0] > 0.7


def test_nothing_is_chosen_where_nothing_was_planted(labels: ProbeLabels) -> None:
    choice = chosen(labels, 0.0, 0.0)
    assert choice.layers == ()
    assert not any(one.passes for one in choice.tested)
    assert at_chance(choice.nested)


def test_what_another_history_tells_as_well_is_not_chosen(labels: ProbeLabels) -> None:
    """Content that everybody likes is above chance, and no sign of a history that was read."""
    choice = chosen(labels, 0.8, 0.8)
    assert choice.layers == ()
    crowd = next(one for one in choice.tested if one.layer.layer == LIKING_LAYER)
    assert bounds(crowd.accuracy)[0] > 0.7


def test_at_most_so_many_and_only_candidates(labels: ProbeLabels) -> None:
    rng = np.random.default_rng(3)
    states: dict[ProbedLayer, FloatArray] = {
        layer: item_states(rng, labels, planted=0.8)[ProbedLayer(LIKING_LAYER, "last")] for layer in LAST
    }
    mismatched = item_states(rng, labels, planted=0.0)
    choice = choose_liking_layers(states, labels, mismatched, most=2, candidates=LAST[1:], repeats=1)
    assert len(choice.layers) == 2
    assert 0 not in choice.layers
    with pytest.raises(PrefbenchError, match="0 layers cannot be chosen"):
        choose_liking_layers(states, labels, mismatched, most=0)


def test_repeated_halves_agree_on_the_planted_layer_of_users() -> None:
    choice = choose_layers(pairs(np.random.default_rng(13), planted=2.0), 1, repeats=3)
    assert (choice.layers, choice.pooling, choice.stability) == ((USER_LAYER,), "last", 1.0)
    assert len(choice.halves) == 6
    assert bounds(choice.estimate)[0] > 0.85
    noise = choose_layers(pairs(np.random.default_rng(13), planted=0.0), 1, repeats=3)
    assert noise.stability < 1
    assert at_chance(noise.estimate)
