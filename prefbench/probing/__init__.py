"""Where in a network a user stands: linear probes of hidden states, layer by layer, whatever made the states.

Inter-user probes ask whether two disjoint histories are of one user; intra-user probes ask whether a user likes an
image, and are tested on users and prompts that they were not fitted on. Beside every figure stands what could
imitate it: states that know only the content, states that saw another user's history, and labels that mean nothing
(control tasks: Hewitt & Liang, EMNLP 2019, arXiv 1909.03368). Layers are chosen on other users than they are
reported on. Users are the unit, intervals those of `stats.crossed_bootstrap` over influence values: each row carries
what it adds to the statistic to first order (DeLong et al., Biometrics 1988, for an AUC), so that resampling rows
resamples the statistic.
"""

from __future__ import annotations

from prefbench.probing.likings import (
    STRENGTH,
    Fold,
    Liking,
    Questions,
    control,
    control_labels,
    crossed_folds,
    liking,
    liking_of,
    liking_rows,
    liking_scores,
    probe_liking,
)
from prefbench.probing.rows import LIKING, LIKING_ACCURACY, RETRIEVAL, VERIFICATION, Place, Row, table
from prefbench.probing.users import (
    Choice,
    Comparison,
    Pair,
    choose_layers,
    probe_users,
    retrieval,
    similarities,
    verification,
)

__all__ = [
    "LIKING",
    "LIKING_ACCURACY",
    "RETRIEVAL",
    "STRENGTH",
    "VERIFICATION",
    "Choice",
    "Comparison",
    "Fold",
    "Liking",
    "Pair",
    "Place",
    "Questions",
    "Row",
    "choose_layers",
    "control",
    "control_labels",
    "crossed_folds",
    "liking",
    "liking_of",
    "liking_rows",
    "liking_scores",
    "probe_liking",
    "probe_users",
    "retrieval",
    "similarities",
    "table",
    "verification",
]
