"""Nested probes: no half of the users is measured in a layer that it chose, and no two users lean on each other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from prefbench.api import PrefbenchError
from prefbench.probing import (
    ProbeLabels,
    StatePair,
    control_labels,
    nested_preference_probe,
    nested_user_probe,
    one_way_folds,
)
from prefbench.probing.plan import ITEMS_PER_SIDE

WIDTH, PROMPTS = 6, 12


def nested_labels(rng: np.random.Generator, users: int = 15) -> ProbeLabels:
    names = np.repeat([f"u{i:02d}" for i in range(users)], 2 * ITEMS_PER_SIDE)
    prompts = np.array([f"p{i}" for i in rng.integers(PROMPTS, size=len(names))])
    return ProbeLabels(
        np.tile([True, False], users * ITEMS_PER_SIDE), names, prompts, np.arange(len(names)).astype(str)
    )


def test_liking_equals_scikit_learn_user_by_user() -> None:
    rng = np.random.default_rng(1)
    labels = nested_labels(rng)
    states = rng.standard_normal((len(labels), WIDTH)) + 0.5 * labels.liked[:, None]
    found = nested_preference_probe({"only": states}, labels)
    meaningless = control_labels(labels.prompts, share=0.5)
    for values, liked, by_prompt in ((found.auc, labels.liked, True), (found.control, meaningless, False)):
        scores = np.full(len(labels), np.nan)
        for train, test in one_way_folds(
            ProbeLabels(liked, labels.users, labels.prompts, labels.images), by_prompt=by_prompt
        ):
            mean, scale = states[train].mean(0), states[train].std(0)
            probe = LogisticRegression(C=0.01, class_weight="balanced").fit(
                (states[train] - mean) / scale, liked[train]
            )
            scores[test] = probe.decision_function((states[test] - mean) / scale)
        for user, value in zip(np.unique(labels.users), values, strict=True):
            own = labels.users == user
            if by_prompt:
                assert value == pytest.approx(roc_auc_score(liked[own], scores[own]))
            elif len(set(liked[own])) == 2:
                assert value == pytest.approx(balanced_accuracy_score(liked[own], scores[own] > 0))
            else:
                assert np.isnan(value)


def test_telling_users_apart_equals_whitening_and_galleries_by_hand() -> None:
    rng, users, gallery = np.random.default_rng(2), 24, 4
    who = rng.standard_normal((users, WIDTH))
    first, second = who + rng.standard_normal((2, users, WIDTH))
    found = nested_user_probe({"only": StatePair(first, second)}, gallery=gallery)
    halves = np.array_split(np.random.default_rng(0).permutation(users), 2)
    for own, other in (halves, halves[::-1]):
        own, other = np.sort(own), np.sort(other)
        learnt = np.concatenate([first[other], second[other]])
        one, two, at, to = (
            (side - learnt.mean(0)) / learnt.std(0) for side in (first[other], second[other], first[own], second[own])
        )
        values, vectors = np.linalg.eigh(LedoitWolf(assume_centered=True).fit((one - two) / np.sqrt(2)).covariance_)
        at, to = (side @ vectors / np.sqrt(values) for side in (at, to))
        cosine = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in to] for a in at])
        auc = roc_auc_score(np.eye(len(own)).ravel(), cosine.ravel())
        assert found.verification[own].mean() == pytest.approx(auc)
        for row, user in enumerate(own):
            hits = [
                all(table[row, row] > table[row, list(others)])
                for table in (cosine, cosine.T)
                for others in combinations(np.delete(np.arange(len(own)), row), gallery - 1)
            ]
            assert found.recall[user] == pytest.approx(np.mean(hits))


def test_each_half_is_measured_by_what_the_other_half_chose() -> None:
    """Where a layer knows the users of one half alone, neither half gets the one that flatters it."""
    rng, users = np.random.default_rng(3), 40
    one, other = np.array_split(np.random.default_rng(0).permutation(users), 2)
    who, pairs = 3 * rng.standard_normal((users, WIDTH)), {}
    for layer, half in (("of one", one), ("of the other", other)):
        known = np.zeros((users, 1))
        known[half] = 1
        pairs[layer] = StatePair(*(known * who + rng.standard_normal((2, users, WIDTH))))
    found = nested_user_probe(pairs)
    assert found.layers == ("of one", "of the other")
    assert abs(found.verification.mean() - 0.5) < 0.1
    whole = {"both": StatePair(*(who + rng.standard_normal((2, users, WIDTH))))}
    assert nested_user_probe(whole).verification.mean() > 0.9


def test_a_half_that_knows_what_it_likes_does_not_choose_for_itself() -> None:
    rng = np.random.default_rng(4)
    labels = nested_labels(rng, users=40)
    one, _ = np.array_split(np.random.default_rng(0).permutation(40), 2)
    mine = np.isin(labels.users, np.unique(labels.users)[one])
    sign = np.where(labels.liked, 1.0, -1.0)[:, None] * np.linspace(-1, 1, WIDTH)
    noise = rng.standard_normal((2, len(labels), WIDTH))
    states = {"of one": noise[0] + sign * mine[:, None], "of the other": noise[1] + sign * ~mine[:, None]}
    found = nested_preference_probe(states, labels)
    assert found.layers == ("of one", "of the other")
    assert abs(np.mean(found.auc) - 0.5) < 0.12


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: one_way_folds(nested_labels(np.random.default_rng(0)), users=4), "take an odd number"),
        (lambda: one_way_folds(nested_labels(np.random.default_rng(0), users=4)), "5 folds need as many users, got 4"),
        (lambda: one_way_folds(nested_labels(np.random.default_rng(0)), prompts=99), "99 folds need as many prompts"),
        (lambda: nested_user_probe({"a": StatePair(np.zeros((19, 2)), np.zeros((19, 2)))}), "needs 20 users, got 19"),
        (lambda: nested_user_probe({"a": StatePair(np.full((20, 2), np.nan), np.zeros((20, 2)))}), "NaN or infinite"),
    ],
)
def test_bad_input_is_one_clear_line(call: Callable[[], object], said: str) -> None:
    with pytest.raises(PrefbenchError, match=said):
        call()
