"""Scores a run folder: stored images to features to metrics to rows. Repeats nothing that is stored already."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from prefbench.api import (
    ROUNDING,
    Evidence,
    Extractor,
    Features,
    FeatureSet,
    ImageMetric,
    Metric,
    MetricCard,
    NotMeasurableError,
    Picture,
    Pixels,
    PrefbenchError,
    Sample,
    Scored,
    ScoreHeader,
    SetMetric,
    Split,
    Suite,
    User,
    UserMetric,
    to_pixels,
)
from prefbench.registry import load
from prefbench.run.folder import RunFolder
from prefbench.run.states import load_states
from prefbench.score import standing
from prefbench.score.cache import FeatureCache
from prefbench.score.sets import FLOOR_KEY, SET_KEY, jackknife, take_evenly
from prefbench.score.stored import ScoreRow, StoredScores, samples_digest, write_scores

logger = logging.getLogger(__name__)
_CHUNK = 500


@dataclass(frozen=True)
class Material:
    """What one run offers to metrics: its folder, its suite, the drawn samples in the order of their keys."""

    folder: RunFolder
    suite: Suite
    split: Split

    @cached_property
    def samples(self) -> Sequence[Sample]:
        return [sample for _, sample in sorted(self.folder.samples().items())]

    @cached_property
    def drawn(self) -> Sequence[Sample]:
        return [sample for sample in self.samples if sample.image is not None]

    @cached_property
    def users(self) -> Sequence[User]:
        """The users of the run's samples, in the suite's order."""
        present = {sample.user for sample in self.samples}
        return [user for user in self.suite.users(self.split) if user.id in present]

    @cached_property
    def digest(self) -> str:
        return samples_digest(self.samples)

    def pixels(self, digests: Sequence[str]) -> list[Pixels]:
        return [to_pixels(self.folder.image(digest)) for digest in digests]


@dataclass(frozen=True)
class Scoring:
    """What `Evaluator.score` did: metrics it computed, and those that the run offers too little for, with reasons.

    `idle` are metrics of what the run's method does not have; nothing is wrong with the run.
    """

    computed: Sequence[str]
    refused: Mapping[str, str]
    idle: Mapping[str, str] = field(default_factory=dict)


class Evaluator:
    """Scores runs of one suite with a list of metrics; extractors are loaded once."""

    def __init__(self, suite: Suite, metrics: Sequence[str]) -> None:
        self._suite = suite
        made: list[Metric] = [load("metric", name)() for name in metrics]
        self._metrics: dict[str, Metric] = {metric.card.name: metric for metric in made}
        self._extractors: dict[str, Extractor] = {}
        self._caches: dict[tuple[Path, str], FeatureCache] = {}

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The loaded metrics, by the names on their cards."""
        return self._metrics

    def score(self, material: Material) -> Scoring:
        """Scores what is missing. Scores of other metrics that are of other samples than these are removed.

        Raises:
            PrefbenchError: the run drew nothing, an image is damaged, a metric lacks what it needs.
        """
        if not material.drawn:
            raise PrefbenchError(f"{material.folder.path} has no drawn sample to score")
        computed, refused = [], {}
        idle = _idle(self._metrics, material)
        for name, metric in self._metrics.items():
            if name in idle:
                material.folder.drop_scores(name)
                continue
            header = self._header(metric, material)
            if material.folder.score_header(name) == header.to_json():
                continue
            try:
                rows = self._rows(metric, material)
            except NotMeasurableError as error:
                refused[name] = str(error)
                material.folder.drop_scores(name)
                continue
            write_scores(material.folder, name, StoredScores(header, rows))
            computed.append(name)
        self._drop_stale(material)
        return Scoring(computed, refused, idle)

    def _drop_stale(self, material: Material) -> None:
        for name in set(material.folder.scored()) - set(self._metrics):
            header = material.folder.score_header(name)
            if header is not None and header.get("samples") != material.digest:
                logger.warning("the scores of %s were of other samples and are removed", name)
                material.folder.drop_scores(name)

    def _rows(self, metric: Metric, material: Material) -> list[ScoreRow]:
        if isinstance(metric, ImageMetric):
            return self._image_rows(metric, material)
        if isinstance(metric, UserMetric):
            return self._user_rows(metric, material)
        return self._set_rows(metric, material)

    def _header(self, metric: Metric, material: Material) -> ScoreHeader:
        card, truth = metric.card, self._suite.truth
        scorer = metric.scorer if isinstance(metric, ImageMetric) else None
        return ScoreHeader(
            metric=card.id,
            direction=card.direction,
            question=card.question,
            unit=card.unit,
            samples=material.digest,
            suite=self._suite.digest,
            won_by=card.won_by,
            undirected=card.undirected,
            bounds=card.bounds if card.proportion else (None, None),
            extractor=self._extractor(metric.extractor).id if metric.extractor else None,
            truth=truth.id if truth is not None and card.asks_truth else None,
            scorer=None if scorer is None else standing.record(scorer, self._suite.card.name),
            representations=material.folder.states_digest() if card.asks_representations else None,
        )

    def _image_rows(self, metric: ImageMetric, material: Material) -> list[ScoreRow]:
        evidence = self._evidence(metric, material)
        rows: list[ScoreRow] = []
        # Whole users at a time: metrics may ask the truth about one user's samples together.
        for chunk in _chunks(sorted(material.drawn, key=lambda s: (s.user, s.key))):
            pixels = material.pixels([sample.image or "" for sample in chunk])
            scored = [Scored(s.key, s.user, s.prompt, p) for s, p in zip(chunk, pixels, strict=True)]
            features = self.features(metric.extractor, chunk, material) if metric.extractor else None
            columns = metric.score(scored, features, evidence)
            if metric.card.proportion:
                _check_proportions(metric.card, columns)
            rows += [
                ScoreRow(s.key, column, _finite(value))
                for column, values in columns.items()
                for s, value in zip(chunk, values, strict=True)
            ]
        return rows

    def _user_rows(self, metric: UserMetric, material: Material) -> list[ScoreRow]:
        users = [user.id for user in material.users]
        evidence = self._evidence(metric, material)
        if metric.card.asks_representations:
            evidence = replace(evidence, representations=load_states(material.folder, self._suite, users))
            if not evidence.representations:
                raise NotMeasurableError(f"no representations were kept; run again with --metrics {metric.card.name}")
        columns = metric.score(users, evidence)
        return [
            ScoreRow(user, column, _finite(value))
            for column, values in columns.items()
            for user, value in zip(users, values, strict=True)
        ]

    def _evidence(self, metric: ImageMetric | UserMetric, material: Material) -> Evidence:
        histories = {
            part: {user.id: self._suite.history(user.id, part) for user in material.users}
            for part in metric.card.asks_histories
        }
        judged = partial(self.judged_features, metric.extractor, material) if metric.extractor else None
        truth = self._suite.truth if metric.card.asks_truth else None
        evidence = Evidence(truth, self._text_features(metric, material), histories)
        return evidence if judged is None else replace(evidence, judged_features=judged)

    def judged_features(self, role: str, material: Material, pictures: Sequence[Picture]) -> Features:
        """Features (N, D) of pictures that users judged, by the extractor of a role; stored beside the run's."""
        by_digest = {picture.digest: picture for picture in pictures}

        def loaded(digests: Sequence[str]) -> list[Pixels]:
            return [to_pixels(by_digest[digest].load()) for digest in digests]

        return self._cache(role, material).get([picture.digest for picture in pictures], loaded)

    def _set_rows(self, metric: SetMetric, material: Material) -> list[ScoreRow]:
        """The value against one half of the references, and the floor: the other half against it, at equal n."""
        drawn, first, second = self.sets(metric, material)
        n = len(drawn)
        values = {
            SET_KEY: metric.compare(drawn, first),
            FLOOR_KEY: metric.compare(second, first),
            **jackknife(metric, drawn, first),
        }
        name = metric.card.name
        return [ScoreRow(key, name, _finite(value), n) for key, value in values.items()]

    def sets(self, metric: SetMetric, material: Material) -> tuple[FeatureSet, FeatureSet, FeatureSet]:
        """What a metric over sets compares, all of one size: the drawn images, and two halves of the references."""
        first, second = self._references(metric.extractor, material)
        drawn = FeatureSet(
            self.features(metric.extractor, material.drawn, material),
            np.array([sample.user for sample in material.drawn]),
            np.array([sample.prompt for sample in material.drawn]),
        )
        n = min(len(drawn), len(first), len(second))
        drawn, first, second = (take_evenly(features, n) for features in (drawn, first, second))
        return drawn, first, second

    def _references(self, role: str, material: Material) -> tuple[FeatureSet, FeatureSet]:
        """The reference images of the run's users, split within each user into two halves."""
        users = {sample.user for sample in material.samples}
        references = [r for r in self._suite.references(material.split) if r.user in users]
        if len(references) < 4:
            raise NotMeasurableError(f"there are {len(references)} reference images of these users; 4 are the least")
        features = self.judged_features(role, material, [r.picture for r in references])
        owners = np.array([r.user for r in references])
        whole = FeatureSet(features, owners, np.array([r.prompt for r in references]))
        turn = np.zeros(len(references), dtype=np.int64)
        for user in users:
            mine = np.flatnonzero(owners == user)
            turn[mine] = np.arange(len(mine)) % 2
        return whole.select(turn == 0), whole.select(turn == 1)

    def features(self, role: str, samples: Sequence[Sample], material: Material) -> Features:
        """Features (N, D) of drawn samples by the extractor of a role; extracted once, then stored."""
        return self._cache(role, material).get([sample.image or "" for sample in samples], material.pixels)

    def _cache(self, role: str, material: Material) -> FeatureCache:
        extractor = self._extractor(role)
        key = (material.folder.path, extractor.id)
        if key not in self._caches:
            self._caches[key] = FeatureCache(material.folder.path, extractor)
        return self._caches[key]

    def _text_features(self, metric: ImageMetric | UserMetric, material: Material) -> Mapping[str, Features]:
        if metric.extractor != "text":
            return {}
        prompts = sorted({sample.prompt for sample in material.drawn})
        return dict(zip(prompts, self._extractor("text").texts(prompts), strict=True))

    def _extractor(self, role: str) -> Extractor:
        name = self._suite.card.extractors.get(role)
        if name is None:
            raise PrefbenchError(f"{self._suite.card.name} names no extractor for the role {role!r}")
        if name not in self._extractors:
            self._extractors[name] = load("extractor", name)()
        return self._extractors[name]


def _idle(metrics: Mapping[str, Metric], material: Material) -> dict[str, str]:
    """Metrics of representations where the method has none. Folders of older runs do not say: those metrics ask."""
    asking = [name for name, metric in metrics.items() if metric.card.asks_representations]
    if not asking or material.folder.read_description().get("represents", True):
        return {}
    return dict.fromkeys(asking, "the method has no representations")


def _check_proportions(card: MetricCard, columns: Mapping[str, Sequence[float | None]]) -> None:
    """Raises `PrefbenchError` for a value outside the bounds that intervals of proportions go by."""
    low, high = (np.nan if bound is None else bound for bound in card.bounds)
    for column, values in columns.items():
        known = np.array([value for value in values if value is not None])
        stray = known[(known < low - ROUNDING) | (known > high + ROUNDING)]
        if len(stray):
            bounds = f"the bounds of {card.name}, {low:g} to {high:g}"
            raise PrefbenchError(f"{column} gave {stray[0]:.6g}, outside {bounds}")


def _finite(value: float | None) -> float | None:
    """A number as it is stored: NaN and infinity are missing values, never numbers."""
    return None if value is None or not np.isfinite(value) else float(value)


def _chunks(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Cuts a list sorted by user into pieces of about `_CHUNK` without cutting a user."""
    chunks: list[list[Sample]] = [[]]
    for i, sample in enumerate(samples):
        new_user = i == 0 or samples[i - 1].user != sample.user
        if new_user and len(chunks[-1]) >= _CHUNK:
            chunks.append([])
        chunks[-1].append(sample)
    return [chunk for chunk in chunks if chunk]
