"""Scores a run folder: stored images to features to metrics to rows. Repeats nothing that is stored already."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from math import ceil
from typing import Any

from prefbench import api
from prefbench.api.errors import NoSpaceError, unread_picture
from prefbench.api.guard import guarded, module_of
from prefbench.models.memory import Batches
from prefbench.registry import load, names
from prefbench.run.metric_names import make_metrics
from prefbench.score import admission
from prefbench.score.inputs import MetricInputs
from prefbench.score.material import Material
from prefbench.score.returned import checked_columns, checked_set_values
from prefbench.score.score_files import StoredScores, is_current, read_header, samples_digests, write_scores
from prefbench.score.score_rows import ScoreRow
from prefbench.score.scorer_figures import keep, measure
from prefbench.score.sets import CROWD_KEY, FLOOR_KEY, SET_KEY, jackknife

logger = logging.getLogger(__name__)
_CHUNK = 500


@dataclass(frozen=True)
class Scoring:
    """The outcome of `Evaluator.score` for each metric that was not up to date."""

    computed: Sequence[str]
    refused: Mapping[str, str]
    """Metrics that the run offers too little for, with the reasons."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Metrics that failed or lack what they need, with the reasons; scores of the others are kept."""
    idle: Mapping[str, str] = field(default_factory=dict)
    """Metrics of what the run's method does not have, with the reasons; nothing is wrong with the run."""


class Evaluator:
    """Scores runs of one suite with a list of metrics; extractors are loaded once."""

    def __init__(self, suite: api.Suite, metrics: Sequence[str]) -> None:
        self._suite = suite
        self.metrics: Mapping[str, api.Metric] = make_metrics(metrics)
        """By the names on their cards."""
        self.inputs = MetricInputs(suite)
        self._measured: set[str] = set()

    def score(self, material: Material) -> Scoring:
        """Scores what is missing. Scores of other metrics that are of other samples than these are removed.

        Raises:
            PrefbenchError: the run drew nothing, or the disk is full; scores stay as they were then.
        """
        if not material.drawn:
            raise api.PrefbenchError(f"{material.folder.path} has no drawn sample to score")
        computed: list[str] = []
        refused: dict[str, str] = {}
        broken: dict[str, str] = {}
        idle = _idle(self.metrics, material)
        for name, metric in self.metrics.items():
            if name in idle:
                material.folder.drop_scores(name)
                continue
            try:
                computed += [name] if self._bring_up_to_date(metric, material) else []
            except NoSpaceError:
                raise
            except api.PrefbenchError as error:
                kind = refused if isinstance(error, api.NotMeasurableError) else broken
                kind[name] = str(error)
                material.folder.drop_scores(name)
        self._drop_stale(material)
        return Scoring(computed, refused, broken, idle)

    def _bring_up_to_date(self, metric: api.Metric, material: Material) -> bool:
        """Stores the metric's scores; False where the stored ones are up to date."""
        self._measure(metric)
        with _asking(metric, "what it uses"):
            header = self._header(metric, material)
        if is_current(material.folder, metric.card.name, header):
            return False
        rows, readable = self._rows_of_readable(metric, material)
        with _asking(metric, "what it reads"):
            header = replace(header, texts=self._texts_read(metric, material))
        header = replace(header, unread="; ".join(self._unread(metric, readable)) or None)
        write_scores(material.folder, metric.card.name, StoredScores(header, rows))
        return True

    def _measure(self, metric: api.Metric) -> None:
        """Measures a scorer that learned from this very suite, once: nobody else can have measured it before."""
        scorer = metric.scorer if isinstance(metric, api.ImageMetric) else None
        if not isinstance(scorer, api.CrossFittedScorer) or scorer.id in self._measured:
            return
        self._measured.add(scorer.id)
        if admission.stored(scorer, self._suite.card.name, self._suite.digest) is None:
            try:
                with _asking(metric, "its scorer"):
                    keep(scorer, measure(scorer, self._suite))
            except api.PrefbenchError as error:
                logger.warning("%s is not measured on this suite, so it ranks nobody: %s", scorer.card.name, error)

    def _drop_stale(self, material: Material) -> None:
        for name in set(material.folder.scored()) - set(self.metrics):
            try:
                header = read_header(material.folder, name)
            except api.PrefbenchError as error:
                logger.warning("%s is removed: %s", name, error)
                material.folder.drop_scores(name)
                continue
            if header is not None and header.samples not in samples_digests(material.samples, material.folder.owner):
                logger.warning("the scores of %s were of other samples and are removed", name)
                material.folder.drop_scores(name)

    def _rows_of_readable(self, metric: api.Metric, material: Material) -> tuple[list[ScoreRow], Material]:
        """The rows, and the material that they are of: once the metric has failed for a picture of the suite or a drawn
        one that cannot be read, what can be read."""
        while True:
            try:
                return self._rows(metric, material), material
            except api.PrefbenchError as error:
                fewer = self._readable(metric, material, error)
                if fewer is None:
                    lines = [line for line in self._unread(metric, material) if line not in str(error)]
                    if not lines or not isinstance(error, api.NotMeasurableError):
                        raise
                    raise api.NotMeasurableError("; ".join([str(error), *lines])) from error
                material = fewer

    def _readable(self, metric: api.Metric, material: Material, error: api.PrefbenchError) -> Material | None:
        """The material, what cannot be read set aside; None where that is not the cause of the error."""
        picture = unread_picture(error)
        if material.holds(picture):
            fewer = material.without_lost()
            return fewer if len(fewer.lost) > len(material.lost) else None
        is_new = picture is not None and self.inputs.set_aside.look_at(metric, material)
        return material if is_new else None

    def _unread(self, metric: api.Metric, material: Material) -> list[str]:
        """What the metric stands without."""
        return [line for line in (self.inputs.set_aside.line(metric, material), material.lost_line) if line]

    def _rows(self, metric: api.Metric, material: Material) -> list[ScoreRow]:
        if isinstance(metric, api.ImageMetric):
            return self.image_rows(metric, material)
        if isinstance(metric, api.UserMetric):
            return self._user_rows(metric, material)
        return self._set_rows(metric, material)

    def _header(self, metric: api.Metric, material: Material) -> api.ScoreHeader:
        card, truth = metric.card, self._suite.truth
        scorer = metric.scorer if isinstance(metric, api.ImageMetric) else None
        return api.ScoreHeader(
            metric=card.id,
            direction=card.direction,
            question=card.question,
            unit=card.unit,
            samples=material.digest,
            suite=self._suite.digest,
            won_by=card.won_by,
            undirected=card.undirected,
            bounds=card.bounds if card.proportion or card.unit == "set" else (None, None),
            extractor=self.inputs.extractor(metric.extractor).id if metric.extractor else None,
            mllm=metric.mllm if isinstance(metric, api.ImageMetric) else None,
            pixel_columns=card.pixel_columns,
            foreign=self._foreign(metric, scorer),
            least=card.least,
            truth=truth.id if truth is not None and card.asks_truth else None,
            scorer=None if scorer is None else admission.record(scorer, self._suite.card.name, self._suite.digest),
            representations=material.folder.states_digest() if card.asks_representations else None,
        )

    def _texts_read(self, metric: api.Metric, material: Material) -> api.TextsRead | None:
        """How many prompts are cut by what reads them: the metric itself, its scorer, or the extractor of texts."""
        of_text = metric.extractor == "text"
        readers = [metric, self.inputs.extractor("text") if of_text else getattr(metric, "scorer", None)]
        reader = next((one for one in readers if isinstance(one, api.ReadsTexts)), None)
        read = None if reader is None else reader.texts_read(sorted({sample.prompt for sample in material.drawn}))
        if read is not None and not isinstance(read, api.TextsRead):
            raise api.PrefbenchError(
                f"{metric.card.name}: texts_read gave {type(read).__name__}, not TextsRead or None"
            )
        return read

    def _foreign(self, metric: api.Metric, scorer: api.Scorer | None) -> tuple[str, ...]:
        """What the metric measures with that does not know this suite's pictures, with the suite that it knows."""
        cards: list[Any] = [] if scorer is None else [scorer.card]
        if metric.extractor:
            extractor = load("extractor", self._suite.card.extractors[metric.extractor])
            cards.append(getattr(extractor, "card", None))
        mllm = metric.mllm if isinstance(metric, api.ImageMetric) else None
        if mllm in names("mllm"):
            cards.append(load("mllm", mllm))
        return admission.foreign(cards, self._suite.card.name)

    def image_rows(
        self, metric: api.ImageMetric, material: Material, users: Sequence[str] | None = None
    ) -> list[ScoreRow]:
        """The rows of a metric over images, user by user; of all users, or of some that have samples."""
        evidence = self.inputs.evidence(metric, material)
        self.inputs.fit(metric.scorer, material)
        refusal = f"metric {metric.card.name!r}: not even the images of one user fit into memory together"
        # Whole users at a time: metrics may ask the truth about one user's samples together.
        asked = None if users is None else set(users)
        in_order = sorted(
            (s for s in material.drawn if asked is None or s.user in asked), key=lambda s: (s.user, s.key)
        )
        by_user = [list(own) for _, own in groupby(in_order, lambda s: s.user)]
        per_chunk = users_at_once(len(by_user), len(in_order))

        def score(start: int, stop: int) -> list[ScoreRow]:
            return self._chunk_rows(metric, list(chain(*by_user[start:stop])), evidence, material)

        return list(chain(*Batches(refusal, per_chunk).each(len(by_user), score)))

    def _chunk_rows(
        self, metric: api.ImageMetric, chunk: Sequence[api.Sample], evidence: api.Evidence, material: Material
    ) -> list[ScoreRow]:
        pixels = material.pixels([sample.image or "" for sample in chunk])
        categories = material.categories if isinstance(metric.scorer, api.CrossFittedScorer) else {}
        scored = [
            api.Scored(s.key, s.user, s.prompt, p, categories.get((s.user, s.case), ""))
            for s, p in zip(chunk, pixels, strict=True)
        ]
        features = self.inputs.features(metric.extractor, chunk, material) if metric.extractor else None
        with _asking(metric, "score"):
            returned = metric.score(api.DrawnImages(scored, features, evidence))
            columns = checked_columns(metric.card, returned, len(chunk))
        return _score_rows([sample.key for sample in chunk], columns)

    def _user_rows(self, metric: api.UserMetric, material: Material) -> list[ScoreRow]:
        users, evidence = [user.id for user in material.users], self.inputs.evidence(metric, material)
        with _asking(metric, "score"):
            columns = checked_columns(metric.card, metric.score(list(users), evidence), len(users))
        return _score_rows(users, columns)

    def _set_rows(self, metric: api.SetMetric, material: Material) -> list[ScoreRow]:
        """The value: drawn images to half A of the references; the floor: half B to half A; and what the crowd's style
        has. All at equal n.
        """
        drawn, reference, other_half, crowd = self.inputs.sets(metric, material)
        with _asking(metric, "compare"):
            values: dict[str, float | None] = {
                SET_KEY: metric.compare(drawn, reference),
                FLOOR_KEY: _where_measurable(metric, other_half, reference),
                **({} if crowd is None else {CROWD_KEY: _where_measurable(metric, crowd, reference)}),
                **jackknife(metric, drawn, reference),
            }
            checked = checked_set_values(metric.card, values)
        return [ScoreRow(key, metric.card.name, value, len(drawn)) for key, value in checked.items()]


def users_at_once(users: int, samples: int) -> int:
    """Of so many users with so many samples in all, those whose images are read and scored together."""
    return ceil(_CHUNK * users / samples)


def _where_measurable(metric: api.SetMetric, drawn: api.FeatureSet, reference: api.FeatureSet) -> float | None:
    try:
        return metric.compare(drawn, reference)
    except api.NotMeasurableError:
        return None


def _idle(metrics: Mapping[str, api.Metric], material: Material) -> dict[str, str]:
    """Metrics of representations where the method has none. Folders of older runs do not say: those metrics ask."""
    asking = [name for name, metric in metrics.items() if metric.card.asks_representations]
    if not asking or material.folder.read_description().get("represents", True):
        return {}
    return dict.fromkeys(asking, "the method has no representations")


def _score_rows(keys: Sequence[str], columns: Mapping[str, Sequence[float | None]]) -> list[ScoreRow]:
    """The rows of columns with one value per key."""
    pairs = ((column, zip(keys, values, strict=True)) for column, values in columns.items())
    return [ScoreRow(key, column, value) for column, values in pairs for key, value in values]


def _asking(metric: api.Metric, deed: str) -> guarded:
    """The guard of one call of a metric."""
    return guarded(f"metric {metric.card.name!r}", deed, module=module_of(metric))
