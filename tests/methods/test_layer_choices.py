"""The layer stage's choice: both probes decide, parts stay apart, and where nothing is above chance it says so."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from prefbench.methods.ours.train.layer_choices import FALLBACK, Asked, chosen_layers
from prefbench.methods.ours.train.layer_stage import Probed
from prefbench.methods.ours.vectors import Layers
from tests.support.probing import LIKING_LAYER, USER_LAYER, item_states, pairs, probe_labels

HOW = Probed(repeats=2)


def asked(planted: float) -> Asked:
    rng = np.random.default_rng(5)
    labels = probe_labels(rng)
    own, other = (item_states(rng, labels, planted=strength) for strength in (planted, 0.0))
    return Asked(own, other, next(iter(other.values())), labels)


@pytest.mark.parametrize("planted", [0.8, 0.0])
def test_the_probes_choose_or_the_record_says_that_they_cannot(planted: float) -> None:
    layers, record = chosen_layers(4, pairs(np.random.default_rng(13), planted=2.0), asked(planted), HOW)
    found = record["choice"]["sem"]
    if planted:
        assert (layers.sem, layers.core, layers.pooling) == ((LIKING_LAYER,), (USER_LAYER,), "last")
        assert found["fallback"] is None
    else:
        assert layers.sem == (2, 3, 4)
        assert layers.core == (1,), "the planted layer is taken"
        assert found["fallback"] == FALLBACK
    assert [one["layer"] for one in found["tested"]] == [1, 2, 3, 4]
    others = {rule: Layers.of_record(one) for rule, one in json.loads(json.dumps(record["alternatives"])).items()}
    assert set(others) == {"chosen", "random", "random-sem", "random-core", "all", "top-four", "answer"}
    assert others["chosen"] == layers
    for rule, one in others.items():
        assert rule == "all" or not set(one.sem) & set(one.core), f"{rule}: e_core is outside e_sem's layers"
    assert len(others["random"].sem) == len(layers.sem)
    assert others["random-core"].sem == layers.sem
    assert others["random-sem"].core == layers.core


def test_states_at_phrases_are_of_the_layers_that_pictures_chose() -> None:
    shown, how = pairs(np.random.default_rng(13), planted=2.0), asked(0.8)
    plain, _ = chosen_layers(4, shown, how, HOW)
    layers, record = chosen_layers(4, shown, how, HOW, phrases=True)
    assert layers == replace(plain, phrases=True)
    others = {rule: Layers.of_record(one) for rule, one in json.loads(json.dumps(record["alternatives"])).items()}
    assert {rule for rule, one in others.items() if not one.phrases} == {"answer"}
    assert others["answer"] == plain


def test_a_model_of_one_layer_has_both_parts_there() -> None:
    shown = {place: pair for place, pair in pairs(np.random.default_rng(1), planted=0.0).items() if place.layer < 2}
    layers, _ = chosen_layers(1, shown, asked(0.0), HOW)
    assert (layers.sem, layers.core) == ((1,), (1,))
