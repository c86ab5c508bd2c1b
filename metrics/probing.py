"""`probing`: the information about users in a method's states, read by linear probes, beside control probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from prefbench.api import (
    Evidence,
    Features,
    FloatArray,
    MetricCard,
    NotMeasurableError,
    Picture,
    PrefbenchError,
    UserMetric,
    UserStates,
)
from prefbench.probing import (
    INVERSE_PENALTY,
    ProbeLabels,
    StatePair,
    by_user,
    liking_rows,
    liking_scores,
    nested_preference_probe,
    nested_user_probe,
    one_way_folds,
)
from prefbench.probing.plan import HALF_SIZE, ITEMS_PER_SIDE

GALLERY = 10


class Probing(UserMetric):
    """Whether a linear probe of the method's states separates a user's liked from disliked pictures it never saw.

    - `probing`: AUC within a user; `probing/liking-accuracy`: balanced accuracy; both 0 to 1, chance 0.5. The probe is
      fitted on other users and other prompts.
    - `probing/content-floor`: the AUC of the same probe on the picture's features alone, without the user.
    - `probing/selectivity`: accuracy minus that of the same probe on random labels of prompts (Hewitt & Liang, EMNLP
      2019, arXiv 1909.03368).
    - `probing/verification`: AUC of recognising two halves of one user's history, chance 0.5; influence values,
      whose mean it is and which may leave 0 to 1. `probing/verification-floor`: the same of the mean features of what
      the halves show, without labels.
    - `probing/recall@10`: how often a user's other half is the nearest of 10; chance 0.1.

    Layers are chosen on the other half of the users. No column depends on what the method drew.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="probing",
        version="1",
        summary="within-user AUC of liked against disliked from the method's states, chance 0.5; recall@10: chance 0.1",
        question="side",
        direction="up",
        scale="0.5 is chance",
        unit="user",
        recipe=f"halves-{HALF_SIZE}+{HALF_SIZE},asked-{ITEMS_PER_SIDE}+{ITEMS_PER_SIDE},"
        f"logistic-{INVERSE_PENALTY:g},one-way-5x4,nested-halves,"
        f"whitened-cosine,gallery-{GALLERY}",
        bounds=(0.0, 1.0),
        source="Hewitt & Liang, EMNLP 2019 (arXiv 1909.03368); PrefGen, arXiv 2512.06020",
        asks_representations=True,
        undirected=("probing/content-floor", "probing/verification-floor"),
    )
    extractor: ClassVar[str | None] = "fidelity"

    def score(self, users: Sequence[str], evidence: Evidence) -> Mapping[str, Sequence[float | None]]:
        """One value per user and column; None for users with too few judgments, or without stored states.

        Raises:
            NotMeasurableError: neither kind of probe has enough users, prompts or answers.
        """
        states = [evidence.representations[user] for user in sorted(users) if user in evidence.representations]
        with_items, halved = [one for one in states if one.item_states], [one for one in states if one.half_states]
        by_column: dict[str, dict[str, float]] = {name: {} for name in self.columns()}
        refusals = []
        for probe, of in ((self._intra, with_items), (self._inter, halved)):
            try:
                values = probe(of, evidence)
            except NotMeasurableError as error:
                refusals.append(str(error))
                continue
            names = [one.user for one in of]
            by_column |= {name: dict(zip(names, rows.tolist(), strict=True)) for name, rows in values.items()}
        if len(refusals) == 2:
            raise NotMeasurableError("; ".join(refusals))
        return {name: [_finite(by_name.get(user)) for user in users] for name, by_name in by_column.items()}

    def columns(self) -> list[str]:
        """All names, the metric's own first."""
        parts = ("liking-accuracy", "selectivity", "content-floor", "verification", "verification-floor")
        return [self.card.name, *(f"{self.card.name}/{part}" for part in (*parts, f"recall@{GALLERY}"))]

    def _intra(self, users: Sequence[UserStates], evidence: Evidence) -> dict[str, FloatArray]:
        """Whether pictures are liked: one value per user."""
        layers = _shared([one.item_states for one in users], "liked and disliked pictures")
        try:
            labels = _labels(users)
            states = {layer: np.concatenate([one.item_states[layer] for one in users]) for layer in layers}
            probe = nested_preference_probe({layer: one.astype(float) for layer, one in states.items()}, labels)
            content = evidence.judged_features([judgment.picture for one in users for judgment in one.judgments])
            floor_scores = liking_scores(content, labels, folds=one_way_folds(labels))
            floor = by_user(liking_rows(floor_scores, labels)[0], labels)
        except PrefbenchError as error:
            raise NotMeasurableError(str(error)) from error
        name = self.card.name
        return {
            name: probe.auc,
            f"{name}/liking-accuracy": probe.accuracy,
            f"{name}/selectivity": probe.accuracy - probe.control,
            f"{name}/content-floor": floor,
        }

    def _inter(self, users: Sequence[UserStates], evidence: Evidence) -> dict[str, FloatArray]:
        """Whether halves are of one user: one value per user."""
        layers = _shared([one.half_states for one in users], "halves of a history")
        try:
            halves = {layer: np.stack([one.half_states[layer] for one in users], 1) for layer in layers}
            pairs = {layer: StatePair(*both.astype(float)) for layer, both in halves.items()}
            probe = nested_user_probe(pairs, gallery=GALLERY)
            content = StatePair(*(_means([one.half_pictures[i] for one in users], evidence) for i in (0, 1)))
            floor = nested_user_probe({"content": content}, gallery=GALLERY).verification
        except PrefbenchError as error:
            raise NotMeasurableError(str(error)) from error
        return {
            f"{self.card.name}/verification": probe.verification,
            f"{self.card.name}/verification-floor": floor,
            f"{self.card.name}/recall@{GALLERY}": probe.recall,
        }


def _shared(states: Sequence[Mapping[str, object]], of: str) -> list[str]:
    """Layers that the method has for all users. Raises `NotMeasurableError` for none."""
    layers = sorted(set.intersection(*(set(layers) for layers in states))) if states else []
    if not layers:
        raise NotMeasurableError(f"probing: no user has states of {of} in one layer")
    return layers


def _labels(users: Sequence[UserStates]) -> ProbeLabels:
    rows = [(one.user, judgment) for one in users for judgment in one.judgments]
    return ProbeLabels(
        np.array([judgment.liked for _, judgment in rows]),
        np.array([user for user, _ in rows]),
        np.array([judgment.prompt for _, judgment in rows]),
        np.array([judgment.picture.digest for _, judgment in rows]),
    )


def _means(half: Sequence[Sequence[Picture]], evidence: Evidence) -> Features:
    """The mean features (U, F) of the pictures of each user's half."""
    features = evidence.judged_features([picture for pictures in half for picture in pictures])
    ends = np.cumsum([len(pictures) for pictures in half])
    return np.stack([rows.mean(0) for rows in np.split(features, ends[:-1])])


def _finite(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value
