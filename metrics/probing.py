"""`probing`: what a method's representation of a user knows, read by linear probes, beside what could imitate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from prefbench.api import (
    Evidence,
    Features,
    MetricCard,
    NotMeasurableError,
    Picture,
    PrefbenchError,
    UserMetric,
    UserStates,
)
from prefbench.probing import STRENGTH, Pair, Questions, liking_rows, liking_scores
from prefbench.probing.interviews import ASKED, HALF
from prefbench.probing.nested import by_user, nested_liking, nested_users, one_way_folds

GALLERY = 10


class Probing(UserMetric):
    """Whether a linear probe of the method's states tells a user's liked from disliked pictures that it never saw.

    - `probing`: AUC within a user; `probing/liking-accuracy`: balanced accuracy; both 0 to 1, chance 0.5. The probe is
      fitted on other users and other prompts.
    - `probing/content-floor`: the AUC of the same probe of the picture's features alone: what needs no user.
    - `probing/selectivity`: accuracy minus that of the same probe on random labels of prompts (Hewitt & Liang, EMNLP
      2019, arXiv 1909.03368).
    - `probing/verification`: AUC of telling that two halves of a history are of one user, chance 0.5; influence values,
      whose mean it is and which may leave 0 to 1. `probing/verification-floor`: the same of the mean features of what
      the halves show, without verdicts.
    - `probing/recall@10`: how often a user's other half is the nearest of 10; chance 0.1.

    Layers are chosen on the other half of the users. No column depends on what the method drew.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="probing",
        version="1",
        summary="within-user AUC of liked against disliked from the method's states, chance 0.5; recall@10: chance 0.1",
        question="side",
        direction="up",
        unit="user",
        recipe=f"halves-{HALF}+{HALF},asked-{ASKED}+{ASKED},logistic-{STRENGTH:g},one-way-5x4,nested-halves,"
        f"whitened-cosine,gallery-{GALLERY}",
        bounds=(0.0, 1.0),
        source="Hewitt & Liang, EMNLP 2019 (arXiv 1909.03368); PrefGen, arXiv 2512.06020",
        asks_representations=True,
        undirected=("probing/content-floor", "probing/verification-floor"),
    )
    extractor: ClassVar[str | None] = "fidelity"

    def score(self, users: Sequence[str], evidence: Evidence) -> Mapping[str, Sequence[float | None]]:
        """One value a user and column; None for users with too few judgments, or of whom the method keeps nothing.

        Raises:
            NotMeasurableError: neither kind of probe has enough users, prompts or answers.
        """
        known = [evidence.representations[user] for user in sorted(users) if user in evidence.representations]
        asked, halved = [one for one in known if one.answers], [one for one in known if one.halves]
        found: dict[str, dict[str, float]] = {name: {} for name in self.columns()}
        refusals = []
        for probe, of in ((self._intra, asked), (self._inter, halved)):
            try:
                values = probe(of, evidence)
            except NotMeasurableError as error:
                refusals.append(str(error))
                continue
            names = [one.user for one in of]
            found |= {name: dict(zip(names, rows.tolist(), strict=True)) for name, rows in values.items()}
        if len(refusals) == 2:
            raise NotMeasurableError("; ".join(refusals))
        return {name: [_known(by_name.get(user)) for user in users] for name, by_name in found.items()}

    def columns(self) -> list[str]:
        """All names, the metric's own first."""
        parts = ("liking-accuracy", "selectivity", "content-floor", "verification", "verification-floor")
        return [self.card.name, *(f"{self.card.name}/{part}" for part in (*parts, f"recall@{GALLERY}"))]

    def _intra(self, known: Sequence[UserStates], evidence: Evidence) -> dict[str, Features]:
        """Whether asked pictures are liked: a value a user."""
        layers = _shared([one.answers for one in known], "liked and disliked pictures")
        try:
            questions = _questions(known)
            states = {layer: np.concatenate([one.answers[layer] for one in known]).astype(float) for layer in layers}
            found = nested_liking(states, questions)
            pictures = evidence.judged_features([judgment.picture for one in known for judgment in one.asked])
            told = liking_scores(pictures, questions, folds=one_way_folds(questions))
            floor = by_user(liking_rows(told, questions)[0], questions)
        except PrefbenchError as error:
            raise NotMeasurableError(str(error)) from error
        name = self.card.name
        return {
            name: found.auc,
            f"{name}/liking-accuracy": found.accuracy,
            f"{name}/selectivity": found.accuracy - found.control,
            f"{name}/content-floor": floor,
        }

    def _inter(self, known: Sequence[UserStates], evidence: Evidence) -> dict[str, Features]:
        """Whether halves are of one user: a value a user."""
        layers = _shared([one.halves for one in known], "halves of a history")
        try:
            pairs = {layer: Pair(*np.stack([one.halves[layer] for one in known], 1).astype(float)) for layer in layers}
            found = nested_users(pairs, gallery=GALLERY)
            shown = Pair(*(_means([one.shown[i] for one in known], evidence) for i in (0, 1)))
            floor = nested_users({"content": shown}, gallery=GALLERY).verification
        except PrefbenchError as error:
            raise NotMeasurableError(str(error)) from error
        return {
            f"{self.card.name}/verification": found.verification,
            f"{self.card.name}/verification-floor": floor,
            f"{self.card.name}/recall@{GALLERY}": found.recall,
        }


def _shared(states: Sequence[Mapping[str, object]], of: str) -> list[str]:
    """Layers that the method has of all users. Raises `NotMeasurableError` for none."""
    layers = sorted(set.intersection(*(set(found) for found in states))) if states else []
    if not layers:
        raise NotMeasurableError(f"probing: no user has states of {of} in one layer")
    return layers


def _questions(known: Sequence[UserStates]) -> Questions:
    rows = [(one.user, judgment) for one in known for judgment in one.asked]
    return Questions(
        np.array([judgment.liked for _, judgment in rows]),
        np.array([user for user, _ in rows]),
        np.array([judgment.prompt for _, judgment in rows]),
        np.array([judgment.picture.digest for _, judgment in rows]),
    )


def _means(shown: Sequence[Sequence[Picture]], evidence: Evidence) -> Features:
    """The mean features (U, F) of what each user was shown."""
    features = evidence.judged_features([picture for pictures in shown for picture in pictures])
    ends = np.cumsum([len(pictures) for pictures in shown])
    return np.stack([part.mean(0) for part in np.split(features, ends[:-1])])


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value
