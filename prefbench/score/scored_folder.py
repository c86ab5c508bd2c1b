"""A scored run: everything in its folder is read once and typed; nothing is computed here that scoring stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from prefbench.api import (
    Column,
    Cost,
    DrawnCounts,
    FloatArray,
    PrefbenchError,
    Sample,
    ScoreHeader,
    Scores,
    SummaryRow,
    count_drawn,
)
from prefbench.run.folder import RunFolder
from prefbench.score import admission, score_files
from prefbench.stats import VERSION

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class ScoredFolder:
    """A run folder as it was when this object first read it: description, samples, scores and summary.

    Implements `prefbench.api.ScoredRun`. What changes in the folder later is seen only by a newly opened one.
    """

    folder: RunFolder
    description: Mapping[str, Any]
    samples: Sequence[Sample]

    @classmethod
    def open(cls, path: Path) -> ScoredFolder:
        """Reads a run. Raises `PrefbenchError` where the folder is none or holds no sample."""
        folder = RunFolder(path)
        description = folder.read_description()
        samples = sorted(folder.samples().values(), key=lambda s: (s.user, s.case, s.index))
        if not samples:
            raise PrefbenchError(f"{path} holds no samples yet; run the command in its run.json again")
        return cls(folder, description, samples)

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.description["spec"]
        return spec

    @property
    def method(self) -> str:
        """The method's name as tables show it; a class from a file by the name on its card."""
        return str(self.description["method"]["name"])

    @property
    def control(self) -> str | None:
        control: str | None = self.spec["control"]
        return control

    @property
    def undrawn(self) -> int:
        """How many planned samples have no row yet: the run was stopped before its end."""
        return max(0, int(self.description["planned"]) - len(self.samples))

    @property
    def kinds(self) -> Mapping[str, str]:
        kinds: Mapping[str, str] = self.description["kinds"]
        return kinds

    def image(self, digest: str) -> Image.Image:
        """A drawn image by its digest. Raises `PrefbenchError` where it is missing or damaged."""
        return self.folder.image(digest)

    @cached_property
    def headers(self) -> Mapping[str, ScoreHeader]:
        """The header of every scored metric, by name.

        Raises:
            PrefbenchError: a header is damaged, or its scores are of other samples than the folder holds now.
        """
        headers = {name: score_files.read_header(self.folder, name) for name in self.folder.scored()}
        return {name: self._checked(name, header) for name, header in headers.items() if header is not None}

    def _checked(self, name: str, header: ScoreHeader) -> ScoreHeader:
        if header.samples not in self._samples_digests:
            raise PrefbenchError(f"{self.path}: the scores of {name} are of other samples; prefbench score {self.path}")
        return header

    @cached_property
    def _samples_digests(self) -> Sequence[str]:
        return score_files.samples_digests(self.samples, self.folder.owner)

    @cached_property
    def _sets(self) -> Mapping[str, score_files.StoredScores]:
        """The scores of set-level metrics."""
        stored = {name: score_files.read_scores(self.folder, name) for name in self.set_metrics()}
        return {name: scores for name, scores in stored.items() if scores is not None}

    def set_metrics(self) -> dict[str, ScoreHeader]:
        """The headers of set-level metrics, by name."""
        return {name: header for name, header in self.headers.items() if header.unit == "set"}

    def set_values(self, metric: str) -> Mapping[str, float | None]:
        """The value of a set-level metric, its floor, and its values without each group (`score.sets`), by key."""
        return {row.key: row.value for row in self._sets[metric].rows} if metric in self.headers else {}

    def set_size(self, metric: str) -> int:
        """The number of images behind a set-level value."""
        return self._sets[metric].rows[0].n or 0

    def recipes(self) -> dict[str, str]:
        """The recipe of each metric's numbers: its version, its settings, the extractor and the truth that it used."""
        return {name: header.recipe for name, header in self.headers.items()}

    def columns(self) -> Mapping[str, Column]:
        """Every column of every per-image and per-user metric, in the order they were scored."""
        return self._columns

    @cached_property
    def _columns(self) -> Mapping[str, Column]:
        columns: dict[str, Column] = {}
        of_metric = {name: name for name in self.set_metrics()}
        for metric, header in self.headers.items():
            if header.unit != "set":
                places = self._rows if header.unit == "image" else self._users
                stored = score_files.read_columns(self.folder, metric, places)
                if both := next((name for name in stored if of_metric.setdefault(name, metric) != metric), None):
                    two = f"{of_metric[both]} and of {metric}"
                    raise PrefbenchError(f"{self.path}: the column {both} is in the scores of {two}")
                columns |= {name: self._column(name, values, header) for name, values in stored.items()}
        return columns

    def _column(self, name: str, values: FloatArray, header: ScoreHeader) -> Column:
        scorer = header.scorer
        return Column(
            scores=self._by_sample(values, header) if header.unit == "image" else self._by_user(values),
            direction="" if name in header.undirected else header.direction,
            question=header.question,
            won_by=header.won_by,
            unit=header.unit,
            unranked=admission.unranked(header, self.description["method"]),
            scorer="" if scorer is None or scorer.figures is None else admission.shown(scorer.figures),
            extractor=header.encoder_of(name),
            foreign=", ".join(header.foreign) if header.encoder_of(name) else "",
        )

    def _by_sample(self, values: FloatArray, header: ScoreHeader) -> Scores:
        """One row per stored sample; NaN where it has no value."""
        users, prompts, keys = self._sample_names
        return Scores(values, users, prompts, keys, header.bounds)

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        """Key to row of every sample, in their order."""
        return {sample.key: row for row, sample in enumerate(self.samples)}

    @cached_property
    def _users(self) -> Mapping[str, int]:
        """User to row, in alphabetical order."""
        return {user: row for row, user in enumerate(sorted(self.kinds))}

    @cached_property
    def _sample_names(self) -> tuple[np.ndarray[Any, np.dtype[np.str_]], ...]:
        """User, prompt and pairing key per sample: what every per-image column shares."""
        users, prompts = (np.array([getattr(s, name) for s in self.samples]) for name in ("user", "prompt"))
        # Escaped, so that a bar in a user's id makes no other user's key.
        own = [s.user.replace("\\", r"\\").replace("|", r"\|") for s in self.samples]
        return users, prompts, np.array([f"{u}|{s.prompt}|{s.index}" for u, s in zip(own, self.samples, strict=True)])

    def _by_user(self, values: FloatArray) -> Scores:
        """One row per user of the run; they belong to no prompt."""
        users = np.array(list(self._users))
        return Scores(values, users, np.full(len(users), ""), users)

    def check(self, *, summary: bool = True) -> None:
        """Reads the scores, and the summary. Raises `PrefbenchError` for the first that cannot be relied on."""
        if not self.headers:
            raise PrefbenchError(f"{self.path} was not scored yet; prefbench score {self.path}")
        if summary:
            self.summary()
        self.columns()
        for metric in self.set_metrics():
            self.set_values(metric)

    def summary(self) -> Sequence[SummaryRow]:
        """The stored rows: one per column over all users, then one per kind of user; set-level metrics over all alone.

        Raises:
            PrefbenchError: the run was not scored, or its samples, scores or method have changed since.
        """
        return self._summary.rows

    def cost(self) -> Cost:
        """The cost of the run, as stored when it was scored. Raises as `summary` does."""
        return self._summary.cost

    def drawn(self) -> DrawnCounts:
        """Equal pictures, pictures of one colour and texts that were cut: as stored, or counted before a first scoring.

        Raises as `summary` does where the run was scored.
        """
        stored = self._summary.drawn if self.headers else None
        return count_drawn(self.samples) if stored is None else stored

    @cached_property
    def _summary(self) -> score_files.StoredSummary:
        if not self.headers:
            raise PrefbenchError(f"{self.path} was not scored yet; prefbench score {self.path}")
        stored = score_files.read_summary(self.folder)
        if stored is None or not self._is_current(stored):
            raise PrefbenchError(f"{self.path}: its summary is not of its scores; prefbench score {self.path}")
        if stored.digest and stored.statistics != VERSION:
            raise PrefbenchError(f"{self.path}: its intervals follow older rules; prefbench score {self.path}")
        # Folders of version 0.2 and older name the encoder in the headers of their scores alone.
        rows = [replace(row, extractor=row.extractor or self._encoder_of(row.metric)) for row in stored.rows]
        return replace(stored, rows=rows)

    def _encoder_of(self, column: str) -> str:
        header = self.headers.get(column.partition("/")[0])
        return "" if header is None else header.encoder_of(column)

    def _is_current(self, stored: score_files.StoredSummary) -> bool:
        if stored.digest:
            return stored.digest == self.summary_digest()
        # Version 0.1 stored no digest: then the rows must name exactly what was scored.
        return {row.metric for row in stored.rows} == {*self.columns(), *self.set_metrics()}

    def summary_digest(self) -> str:
        """The digest of what a summary of this run is computed from."""
        return score_files.summary_digest(self.folder, self.description, self.samples, self._samples_digests[0])

    def summary_frame(self) -> pandas.DataFrame:
        """The summary as a frame: one row per column and kind of user, the fields of `SummaryRow` as columns."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.summary()])

    def samples_frame(self) -> pandas.DataFrame:
        """One row per sample: what the run stored of it, its kind of user, its value of every per-image column."""
        import pandas

        frame = pandas.DataFrame([asdict(sample) for sample in self.samples])
        frame.insert(2, "kind", [self.kinds[sample.user] for sample in self.samples])
        per_image = {name: column for name, column in self.columns().items() if column.unit == "image"}
        return frame.assign(**{name: column.scores.values for name, column in per_image.items()})
