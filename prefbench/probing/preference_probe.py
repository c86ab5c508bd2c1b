"""Intra-user probes: whether a user likes an image, tested on users and prompts that they were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prefbench.api import Estimate, FloatArray, PrefbenchError, Scores
from prefbench.probing.folds import Fold, crossed_folds
from prefbench.probing.influence import liking_rows, mean_of_rows
from prefbench.probing.labels import ProbeLabels
from prefbench.probing.table import LIKING, LIKING_ACCURACY, ProbedLayer, ProbeRow, check_layers, state_matrix
from prefbench.stats.table import Names

INVERSE_PENALTY = 0.01
"""Inverse of the L2 penalty of the probe on standardised states: one recipe for all layers, floors and controls."""


@dataclass(frozen=True)
class Liking:
    """How well a probe tells liked from disliked: means over the users who have both, 0 to 1, chance 0.5."""

    auc: Estimate
    accuracy: Estimate
    """Balanced: the mean of the shares of liked and of disliked images that are told right."""


def liking(
    states: FloatArray,
    labels: ProbeLabels,
    *,
    folds: Sequence[Fold] | None = None,
    inverse_penalty: float = INVERSE_PENALTY,
    seed: int = 0,
) -> Liking:
    """Logistic regression on standardised states (N, W), fitted on other users and other prompts than it is tested on.

    Both labels weigh the same in the fit. Users without both labels are fitted on, but have no value of their own.

    Args:
        folds: those of `crossed_folds` unless given.
        inverse_penalty: of the L2 penalty; scikit-learn's `C`.

    Raises:
        PrefbenchError: a state is not finite, or rows and labels differ in number; else as `crossed_folds`.
    """
    scores = liking_scores(states, labels, folds=folds, inverse_penalty=inverse_penalty, seed=seed)
    return liking_of(scores, labels)


def liking_scores(
    states: FloatArray,
    labels: ProbeLabels,
    *,
    folds: Sequence[Fold] | None = None,
    inverse_penalty: float = INVERSE_PENALTY,
    seed: int = 0,
) -> FloatArray:
    """The scores (N,) that `liking` is measured by: log odds of liked, each by a probe that has not seen the row."""
    states = state_matrix(states, "states", len(labels))
    scores = np.full(len(labels), np.nan)
    for train, test in crossed_folds(labels, seed=seed) if folds is None else folds:
        model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=1000)
        probe = make_pipeline(StandardScaler(), model).fit(states[train], labels.liked[train])
        scores[test] = probe.decision_function(states[test])
    return scores


def liking_of(scores: FloatArray, labels: ProbeLabels) -> Liking:
    """How well given scores (N,) tell liked from disliked; positive ones say liked, zero says neither."""
    rows = liking_rows(scores, labels)
    return Liking(*(mean_of_rows(Scores(row, labels.users, labels.prompts)) for row in rows))


def control_task(
    states: FloatArray,
    labels: ProbeLabels,
    types: Names,
    *,
    folds: int = 4,
    inverse_penalty: float = INVERSE_PENALTY,
    seed: int = 0,
) -> Liking:
    """The probe on `control_labels`: what it would reach by remembering types instead of reading preference.

    Its folds keep users apart but not prompts: a label that means nothing can be remembered for a type, and never
    guessed for a new one. That is easier than the task of `liking`, so selectivity errs on the low side. Types that
    only one user has, such as images drawn for them, leave nothing to remember and the control at chance; prompts
    recur.

    Raises:
        PrefbenchError: as `liking`, or fewer than two users have types of both labels.
    """
    meaningless = labels.without_meaning(types, seed)
    by_user = crossed_folds(meaningless, folds=folds, seed=seed, by_prompt=False)
    return liking(states, meaningless, folds=by_user, inverse_penalty=inverse_penalty, seed=seed)


def probe_liking(
    states: Mapping[ProbedLayer, FloatArray],
    labels: ProbeLabels,
    *,
    floor: FloatArray | None = None,
    mismatched: Mapping[ProbedLayer, FloatArray] | None = None,
    types: Names | None = None,
    folds: int = 4,
    inverse_penalty: float = INVERSE_PENALTY,
    seed: int = 0,
) -> list[ProbeRow]:
    """Within-user AUC and balanced accuracy in every layer; all probes are fitted and tested on the same folds.

    Args:
        states: (N, W) each, rows as in `labels`.
        floor: features (N, F) of the image alone.
        mismatched: states (N, W) at the same images after another user's history; fitted anew.
        types: (N,) what control labels are drawn for; the images unless given. See `control_task`.

    Raises:
        PrefbenchError: as `liking`, or `mismatched` lacks a layer.
    """
    check_layers(states)
    if mismatched is not None and (lacking := sorted(set(states) - set(mismatched))):
        raise PrefbenchError(f"probing: mismatched states lack layer {lacking[0].layer}, pooling {lacking[0].pooling}")
    types = labels.images if types is None else types
    if len(types) != len(labels):
        raise PrefbenchError(f"probing: {len(types)} types for {len(labels)} labels")
    crossed = crossed_folds(labels, folds=folds, seed=seed)

    def probe(matrix: FloatArray) -> Liking:
        return liking(matrix, labels, folds=crossed, inverse_penalty=inverse_penalty, seed=seed)

    content = None if floor is None else probe(floor)
    rows = []
    for layer, matrix in sorted(states.items()):
        own, other = probe(matrix), None if mismatched is None else probe(mismatched[layer])
        control = control_task(matrix, labels, types, folds=folds, inverse_penalty=inverse_penalty, seed=seed)
        imitations = {"floor": content, "mismatched": other, "control": control}
        auc = {name: None if one is None else one.auc.value for name, one in imitations.items()}
        accuracy = {name: None if one is None else one.accuracy.value for name, one in imitations.items()}
        rows.append(ProbeRow.of(layer, LIKING, own.auc, **auc))
        rows.append(ProbeRow.of(layer, LIKING_ACCURACY, own.accuracy, **accuracy))
    return rows
