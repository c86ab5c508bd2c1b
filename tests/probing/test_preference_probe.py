"""Intra-user probes in worlds whose truth is planted, and against independent implementations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from prefbench.probing import (
    LIKING,
    LIKING_ACCURACY,
    Fold,
    ProbedLayer,
    crossed_folds,
    liking,
    probe_liking,
)
from prefbench.probing.preference_probe import control_task
from tests.support.probing import (
    LIKING_LAYER,
    PROMPTS,
    USERS,
    at_chance,
    best,
    bounds,
    item_states,
    probe_labels,
    value_of,
)


@pytest.mark.slow
def test_liking_is_found_in_the_layer_it_was_planted_in_and_not_in_its_imitations() -> None:
    rng = np.random.default_rng(1)
    labels = probe_labels(rng)
    states, other = item_states(rng, labels, planted=0.8), item_states(rng, labels, planted=0.0)
    floor = rng.standard_normal((len(labels), 6))
    rows = probe_liking(states, labels, floor=floor, mismatched=other)
    for task in (LIKING, LIKING_ACCURACY):
        winner = best(rows, task)
        assert winner.layer == LIKING_LAYER
        assert bounds(winner)[0] > 0.7
        assert winner.selectivity is not None
        assert winner.selectivity > 0.2
        assert winner.floor is not None
        assert winner.mismatched is not None
        assert max(abs(winner.floor - 0.5), abs(winner.mismatched - 0.5)) < 0.1
        assert all(at_chance(row) for row in rows if row.layer != LIKING_LAYER and row.task == task)


def test_labels_without_meaning_give_chance_where_liking_is_planted() -> None:
    rng = np.random.default_rng(4)
    labels = probe_labels(rng)
    states = item_states(rng, labels, planted=0.8)[ProbedLayer(LIKING_LAYER, "last")]
    shuffled = replace(labels, liked=rng.permutation(labels.liked))
    assert at_chance(liking(states, shuffled).auc)
    assert not at_chance(liking(states, labels).auc)


def test_the_control_remembers_types_that_recur_and_no_others() -> None:
    """States that spell the prompt: a label by prompt is remembered, one by image cannot be."""
    rng = np.random.default_rng(5)
    labels = probe_labels(rng)
    spelled = np.eye(PROMPTS)[labels.prompts.astype(int)]
    assert bounds(control_task(spelled, labels, labels.prompts).accuracy)[0] > 0.95
    assert at_chance(control_task(spelled, labels, labels.images).accuracy)


def test_prompts_that_users_share_widen_the_interval() -> None:
    """What speaks for liking under some prompts speaks against it under others: few prompts, little certainty."""
    rng = np.random.default_rng(1)
    labels = probe_labels(rng)
    turned = (rng.random(PROMPTS) < 0.4)[labels.prompts.astype(int)]
    states = (np.where(labels.liked ^ turned, 1.0, -1.0) + rng.standard_normal(len(labels)))[:, None]
    own = replace(labels, prompts=np.char.add(labels.users, labels.images))
    folds = crossed_folds(labels)
    shared, unshared = liking(states, labels, folds=folds), liking(states, own, folds=folds)
    for wide, narrow in ((shared.auc, unshared.auc), (shared.accuracy, unshared.accuracy)):
        assert wide.value == narrow.value
        assert bounds(wide)[1] - bounds(wide)[0] > 2 * (bounds(narrow)[1] - bounds(narrow)[0])


def test_liking_equals_scikit_learn_user_by_user() -> None:
    """With unequal item_states, and with users who have only one: those count in no figure."""
    rng = np.random.default_rng(9)
    labels = probe_labels(rng)
    liked = labels.liked & (rng.random(len(labels)) < 0.6)
    liked[labels.users == "0"] = True
    labels, states = (
        replace(labels, liked=liked),
        item_states(rng, labels, planted=0.3)[ProbedLayer(LIKING_LAYER, "last")],
    )
    rows = np.arange(len(labels))
    found = liking(states, labels, folds=[Fold(rows, rows)], inverse_penalty=0.5)
    standard = (states - states.mean(0)) / states.std(0)
    fitted = LogisticRegression(C=0.5, class_weight="balanced").fit(standard, liked)
    own = [labels.users == user for user in np.unique(labels.users) if len(set(liked[labels.users == user])) == 2]
    scores, told = fitted.decision_function(standard), fitted.predict(standard)
    assert len(own) < USERS
    assert found.auc.n_users == found.accuracy.n_users == len(own)
    assert found.auc.value == pytest.approx(np.mean([roc_auc_score(liked[u], scores[u]) for u in own]), abs=1e-3)
    expected = np.mean([balanced_accuracy_score(liked[u], told[u]) for u in own])
    assert found.accuracy.value == pytest.approx(expected, abs=1e-3)


def test_a_probe_that_would_cheat_by_user_or_prompt_gains_nothing() -> None:
    """Users with tastes for prompts, states that spell both: remembered within folds that leak, chance in ours."""
    rng = np.random.default_rng(12)
    labels = probe_labels(rng)
    taste = {name: rng.random() < 0.5 for name in set(labels.prompts)}
    labels = replace(labels, liked=np.array([taste[prompt] for prompt in labels.prompts]))
    spelled = np.eye(PROMPTS)[labels.prompts.astype(int)]
    leaking = liking(spelled, labels, folds=crossed_folds(labels, by_prompt=False))
    assert leaking.auc.value == pytest.approx(1.0)
    assert value_of(liking(spelled, labels).auc) < 0.6
