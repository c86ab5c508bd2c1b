"""What hidden states know of users: linear probes, layer by layer, whatever network the states are of.

Inter-user probes ask whether two disjoint histories are of one user; intra-user probes ask whether a user likes an
image, and are tested on users and prompts that they were not fitted on. Beside every value stands what could imitate
it: states that know only the content, states that saw another user's history, and labels without meaning (control
tasks: Hewitt & Liang, EMNLP 2019, arXiv 1909.03368). Layers are chosen on other users than they are reported on. Users
are the unit, and intervals are those of `stats.means.mean_interval` over influence values (`influence.py`).
"""

from __future__ import annotations

from prefbench.probing.folds import Fold, crossed_folds, one_way_folds
from prefbench.probing.influence import by_user, liking_rows
from prefbench.probing.labels import ProbeLabels, control_labels
from prefbench.probing.layer_choice import LayerChoice, choose_layers
from prefbench.probing.liking_choice import LikingChoice, LikingLayer, choose_liking_layers
from prefbench.probing.nested_probes import nested_preference_probe, nested_user_probe
from prefbench.probing.preference_probe import (
    INVERSE_PENALTY,
    Liking,
    liking,
    liking_of,
    liking_scores,
    probe_liking,
)
from prefbench.probing.table import LIKING, LIKING_ACCURACY, RETRIEVAL, VERIFICATION, ProbedLayer, ProbeRow, table
from prefbench.probing.user_probe import Comparison, StatePair, probe_users, retrieval, similarities, verification

__all__ = [
    "INVERSE_PENALTY",
    "LIKING",
    "LIKING_ACCURACY",
    "RETRIEVAL",
    "VERIFICATION",
    "Comparison",
    "Fold",
    "LayerChoice",
    "Liking",
    "LikingChoice",
    "LikingLayer",
    "ProbeLabels",
    "ProbeRow",
    "ProbedLayer",
    "StatePair",
    "by_user",
    "choose_layers",
    "choose_liking_layers",
    "control_labels",
    "crossed_folds",
    "liking",
    "liking_of",
    "liking_rows",
    "liking_scores",
    "nested_preference_probe",
    "nested_user_probe",
    "one_way_folds",
    "probe_liking",
    "probe_users",
    "retrieval",
    "similarities",
    "table",
    "verification",
]
