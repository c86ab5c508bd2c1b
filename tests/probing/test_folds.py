"""Folds keep users and prompts apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from prefbench.probing import crossed_folds, one_way_folds
from tests.support.probing import probe_labels


def test_folds_never_share_a_user_a_prompt_or_an_image() -> None:
    labels = probe_labels(np.random.default_rng(10))
    folds = crossed_folds(labels, folds=4)
    for train, test in folds:
        for names in (labels.users, labels.prompts, labels.images):
            assert not set(names[train]) & set(names[test])
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(labels)))
    assert np.mean([len(fold.train) for fold in folds]) > 0.5 * len(labels)


def test_folds_by_user_alone_share_prompts() -> None:
    labels = probe_labels(np.random.default_rng(11))
    folds = crossed_folds(labels, folds=4, by_prompt=False)
    assert len(folds) == 4
    for train, test in folds:
        assert not set(labels.users[train]) & set(labels.users[test])
        assert set(labels.prompts[train]) >= set(labels.prompts[test])


def test_of_two_users_at_most_one_leans_on_the_other() -> None:
    labels = probe_labels(np.random.default_rng(0))
    folds = one_way_folds(labels)
    leans = {(labels.users[j], labels.users[i]) for fold in folds for i in fold.test for j in fold.train}
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(labels)))
    assert not any((b, a) in leans for a, b in leans)
    assert len(leans) > 0.7 * len(list(combinations(set(labels.users), 2))), "and most do, one way"
    for train, test in folds:
        assert not set(labels.users[train]) & set(labels.users[test])
        assert not set(labels.prompts[train]) & set(labels.prompts[test])
    apart = one_way_folds(labels, by_prompt=False)
    assert len(apart) == 5
    assert all(not set(labels.users[train]) & set(labels.users[test]) for train, test in apart)
