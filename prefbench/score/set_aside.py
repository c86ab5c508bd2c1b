"""Pictures of a suite that cannot be read: once one fails a metric they are set aside, and it stands on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from prefbench import api
from prefbench.score.material import Material


class Judged(NamedTuple):
    """A picture that a metric may read, and where it stands: `reference of ann`, `liked by ann`."""

    picture: api.Picture
    place: str


class SetAside:
    """The pictures of one suite that could not be read. Nothing is decoded before a metric has failed."""

    def __init__(self, suite: api.Suite) -> None:
        self._suite = suite
        self._readable: set[api.Picture] = set()
        self._faults: dict[api.Picture, str] = {}

    @property
    def is_any(self) -> bool:
        """Whether some picture was set aside."""
        return bool(self._faults)

    def look_at(self, metric: api.Metric, material: Material) -> bool:
        """Decodes every picture that the metric may read and that was not looked at; whether some had to be set aside.

        Raises:
            NotMeasurableError: none of them can be read.
        """
        judged, before = self._judged(metric, material), len(self._faults)
        for picture, _ in judged:
            if picture not in self._readable and picture not in self._faults:
                self._look_at(picture)
        if judged and all(picture in self._faults for picture, _ in judged):
            raise api.NotMeasurableError(str(self.line(metric, material)))
        return len(self._faults) > before

    def _look_at(self, picture: api.Picture) -> None:
        try:
            picture.load()
        except api.UnreadableImageError as error:
            self._faults[picture] = str(error)
        else:
            self._readable.add(picture)

    def line(self, metric: api.Metric, material: Material) -> str | None:
        """How many of the pictures that the metric may read are set aside, such as which; None where none is."""
        if not self._faults:
            return None
        judged = self._judged(metric, material)
        faults = [f"{self._faults[picture]} ({place})" for picture, place in judged if picture in self._faults]
        kind = "references" if isinstance(metric, api.SetMetric) else "judged pictures"
        return f"{len(faults)} of {len(judged)} {kind} could not be read, such as {faults[0]}" if faults else None

    def readable(self, history: api.History) -> api.History:
        """The history without the pictures that are set aside."""
        liked, disliked = (
            tuple(judgment for judgment in side if judgment.picture not in self._faults)
            for side in (history.liked, history.disliked)
        )
        return replace(history, liked=liked, disliked=disliked) if self._faults else history

    def references(self, material: Material) -> Sequence[api.Reference]:
        """The references of the run's users without those that are set aside."""
        return self._readable_of(self._suite.references(material.split), material)

    def crowd_references(self, material: Material) -> Sequence[api.Reference]:
        """The same of the references in the crowd's style."""
        return self._readable_of(self._suite.crowd_references(material.split), material)

    def _readable_of(self, references: Sequence[api.Reference], material: Material) -> Sequence[api.Reference]:
        users = {sample.user for sample in material.samples}
        return [r for r in references if r.user in users and r.picture not in self._faults]

    def _judged(self, metric: api.Metric, material: Material) -> list[Judged]:
        learns = isinstance(getattr(metric, "scorer", None), api.CrossFittedScorer)
        users = [user.id for user in (self._suite.users(material.split) if learns else material.users)]
        if isinstance(metric, api.SetMetric):
            split = material.split
            references = [*self._suite.references(split), *self._suite.crowd_references(split)]
            return [Judged(r.picture, f"reference of {r.user}") for r in references if r.user in set(users)]
        histories = [self._suite.history(user, viewer) for viewer in metric.card.asks_histories for user in users]
        return [
            Judged(judgment.picture, f"{'liked' if judgment.liked else 'disliked'} by {history.user}")
            for history in histories
            for judgment in (*history.liked, *history.disliked)
        ]
