"""A run that several workers score: they extract features and score images; this process reduces and writes scores.

What a worker cannot do, such as reading a damaged picture, is done again here, so that it is told as it is without
workers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from prefbench import api
from prefbench.engines import scoring
from prefbench.engines.calls_job import CallsEndedError, call_each
from prefbench.engines.crew import Crew
from prefbench.engines.workers import Worker
from prefbench.score.evaluator import Evaluator, users_at_once
from prefbench.score.inputs import MetricInputs
from prefbench.score.material import Material
from prefbench.score.score_rows import ScoreRow

logger = logging.getLogger(__name__)
CrewOf: TypeAlias = Callable[[], Crew]
_TURNS = 4
"""Parts of a job for each worker, so that none waits long for another."""
_AT_LEAST, _AT_MOST = 16, 256
"""Pictures that are handed out together."""


@contextmanager
def shared_scoring(
    workers: Sequence[Worker], path: Path, suite: str | None, metrics: Sequence[str]
) -> Iterator[Callable[[api.Suite, Sequence[str]], Evaluator]]:
    """Gives what makes an evaluator whose work is shared by workers. They start when there is something to do."""
    crew = Crew(workers, scoring.set_up, lambda _: (path.absolute(), suite, list(metrics)))
    with ExitStack() as at_work:
        working: list[Crew] = []

        def started() -> Crew:
            if not working:
                working.append(at_work.enter_context(crew.at_work()))
            return working[0]

        yield partial(SharedEvaluator, started)


class SharedEvaluator(Evaluator):
    """An evaluator that hands out metrics over images by user, and feature passes by picture."""

    def __init__(self, crew: CrewOf, suite: api.Suite, metrics: Sequence[str]) -> None:
        super().__init__(suite, metrics)
        self._crew = crew
        self.inputs = SharedInputs(crew, suite)

    def image_rows(
        self, metric: api.ImageMetric, material: Material, users: Sequence[str] | None = None
    ) -> list[ScoreRow]:
        """See `Evaluator.image_rows`."""
        present = sorted({sample.user for sample in material.drawn})
        if users is None and len(present) > 1 and not material.lost and not self.inputs.set_aside.is_any:
            crew = self._crew()
            parts = _cut(present, _TURNS * len(crew.workers), 1)
            try:
                answers = call_each(crew, scoring.image_rows, [(metric.card.name, part) for part in parts])
                return _as_stored([row for rows in answers for row in rows], material, present)
            except CallsEndedError as error:
                raise api.PrefbenchError(f"metric {metric.card.name!r}: {error}") from error
            except api.PrefbenchError as error:
                logger.debug("%s is scored by one process: %s", metric.card.name, error)
        return super().image_rows(metric, material, users)


def _as_stored(rows: list[ScoreRow], material: Material, users: Sequence[str]) -> list[ScoreRow]:
    """Rows user by user in the order in which one process stores them: of some users together, column by column."""
    at_once, user_of = users_at_once(len(users), len(material.drawn)), {one.key: one.user for one in material.drawn}
    turn = {user: i // at_once for i, user in enumerate(users)}
    columns = {name: i for i, name in enumerate(dict.fromkeys(row.column for row in rows))}
    return sorted(rows, key=lambda row: (turn[user_of[row.key]], columns[row.column]))


class SharedInputs(MetricInputs):
    """Inputs whose features workers extract first, into shards of the folder, where they are read."""

    def __init__(self, crew: CrewOf, suite: api.Suite) -> None:
        super().__init__(suite)
        self._crew = crew

    def features_of(self, role: str, digests: Sequence[str], material: Material) -> api.Features:
        """See `MetricInputs.features_of`."""
        self._share(role, self.lacking(role, digests, material))
        return super().features_of(role, digests, material)

    def judged_features(self, role: str, material: Material, pictures: Sequence[api.Picture]) -> api.Features:
        """See `MetricInputs.judged_features`."""
        lacking = set(self.lacking(role, [picture.digest for picture in pictures], material))
        by_digest = {picture.digest: picture for picture in pictures if picture.digest in lacking}
        self._share(role, list(by_digest.values()))
        return super().judged_features(role, material, pictures)

    def _share(self, role: str, pictures: Sequence[str] | Sequence[api.Picture]) -> None:
        if len(pictures) < 2 * _AT_LEAST:
            return
        crew = self._crew()
        parts = _cut(pictures, max(_TURNS * len(crew.workers), len(pictures) // _AT_MOST), _AT_LEAST)
        try:
            call_each(crew, scoring.extract, [(role, part) for part in parts])
        except CallsEndedError as error:
            raise api.PrefbenchError(f"the extractor of the role {role!r}: {error}") from error
        except api.PrefbenchError as error:
            logger.debug("features are extracted by one process: %s", error)


def _cut(items: Sequence[str] | Sequence[api.Picture], parts: int, least: int) -> list[list[object]]:
    """Items in consecutive parts of about one size, at least so many each."""
    size = max(least, -(-len(items) // parts))
    return [list(items[i : i + size]) for i in range(0, len(items), size)]
