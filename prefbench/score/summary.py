"""From stored rows to numbers with intervals: a pure function of a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from prefbench.api import ALL, Column, Estimate, PrefbenchError, Sample, Scores, SummaryRow
from prefbench.files import write_atomic
from prefbench.run.folder import RunFolder
from prefbench.score import standing
from prefbench.score.evaluate import samples_digest
from prefbench.score.sets import FLOOR_KEY, SET_KEY, WITHOUT_KEYS
from prefbench.stats.bootstrap import crossed_bootstrap

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Run:
    """A run folder that was scored, ready for tables: description, samples, kinds of users."""

    folder: RunFolder
    description: Mapping[str, Any]
    samples: Sequence[Sample]

    @classmethod
    def open(cls, path: Path) -> Run:
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

    def columns(self) -> dict[str, Column]:
        """Every column of every metric over images and over users, in the order they were scored."""
        found: dict[str, Column] = {}
        for name in self.folder.scored():
            header, rows = self._scores(name)
            if header["unit"] == "set":
                continue
            values: dict[str, dict[str, float | None]] = {}
            for row in rows:
                values.setdefault(row["column"], {})[row["key"]] = row["value"]
            for column, by_key in values.items():
                scores = self._aligned(by_key, header) if header["unit"] == "image" else self._by_user(by_key)
                direction = "" if column in header.get("undirected", ()) else header["direction"]
                about = direction, header["question"], tuple(header["won_by"]), header["unit"]
                found[column] = Column(scores, *about, *self._standing(header))
        return found

    def _standing(self, header: Mapping[str, Any]) -> tuple[str, str]:
        """Why the metric's scorer must not rank this method, and how far it can be believed; empty without a scorer."""
        scorer = header.get("scorer")
        if scorer is None:
            return "", ""
        figures = scorer["figures"]
        method = self.description["method"]
        return standing.unranked(scorer, method), "" if figures is None else standing.shown(figures)

    def set_metrics(self) -> dict[str, dict[str, Any]]:
        """The scored metrics over sets, with the headers of their scores: direction, question, recipe."""
        headers = {name: self._scores(name)[0] for name in self.folder.scored()}
        return {name: header for name, header in headers.items() if header["unit"] == "set"}

    def _aligned(self, by_key: Mapping[str, float | None], header: Mapping[str, Any]) -> Scores:
        low, high = header.get("bounds", (None, None))
        values = [by_key.get(sample.key) for sample in self.samples]
        return Scores(
            np.array([np.nan if value is None else value for value in values], dtype=np.float64),
            np.array([sample.user for sample in self.samples]),
            np.array([sample.prompt for sample in self.samples]),
            np.array([f"{sample.user}|{sample.prompt}|{sample.index}" for sample in self.samples]),
            (low, high),
        )

    def _by_user(self, values: Mapping[str, float | None]) -> Scores:
        """A row a user of the run; they belong to no prompt."""
        users = np.array(sorted(self.kinds))
        found = [values.get(user) for user in users.tolist()]
        known = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
        return Scores(known, users, np.full(len(users), ""), users)

    def _scores(self, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        scores = self.folder.scores(name)
        if scores is None:
            raise PrefbenchError(f"{self.folder.path} has no scores of {name}")
        if scores[0]["samples"] != self._digest:
            path = self.folder.path
            raise PrefbenchError(f"{path}: the scores of {name} are of other samples; prefbench score {path}")
        return scores

    @cached_property
    def _digest(self) -> str:
        return samples_digest(self.samples)

    def recipes(self) -> dict[str, str]:
        """What each metric's numbers were made with: its version and recipe, the extractor and truth that it asked."""
        headers = {name: self._scores(name)[0] for name in self.folder.scored()}
        return {name: _recipe(header) for name, header in headers.items()}

    def summarise(self) -> list[SummaryRow]:
        """One row for each column over all users, then one for each kind of user; set metrics over all users only."""
        rows = [row for name, column in self.columns().items() for row in self._rows(name, column)]
        for name in self.folder.scored():
            header, scores = self._scores(name)
            if header["unit"] == "set":
                rows.append(self._set_row(name, header, {row["key"]: row["value"] for row in scores}, scores[0]["n"]))
        return rows

    def _rows(self, name: str, column: Column) -> list[SummaryRow]:
        kinds = [ALL, *sorted(set(self.kinds.values()))] if len(set(self.kinds.values())) > 1 else [ALL]
        rows = [self._row(name, kind, crossed_bootstrap(self._of_kind(column.scores, kind)), column) for kind in kinds]
        # Of what is not drawn yet the kind of user is not known here, so only the row over all users counts it.
        undrawn = self.undrawn if column.unit == "image" else 0
        return [replace(rows[0], missing=rows[0].missing + undrawn), *rows[1:]]

    def _of_kind(self, scores: Scores, kind: str) -> Scores:
        if kind == ALL:
            return scores
        return scores.select(np.array([self.kinds[user] == kind for user in scores.users]))

    def _row(self, name: str, kind: str, estimate: Estimate, column: Column) -> SummaryRow:
        return SummaryRow(
            method=self.method,
            control=self.control,
            metric=name,
            kind=kind,
            direction=column.direction,
            question=column.question,
            won_by=column.won_by,
            unranked=column.unranked,
            scorer=column.scorer,
            **asdict(estimate),
        )

    def _set_row(self, name: str, header: Mapping[str, Any], values: Mapping[str, float | None], n: int) -> SummaryRow:
        value = values[SET_KEY]
        reach = jackknife_half_width(
            [[v for key, v in values.items() if key.startswith(prefix)] for prefix in WITHOUT_KEYS]
        )
        has_interval = value is not None and reach is not None
        return SummaryRow(
            method=self.method,
            control=self.control,
            metric=name,
            kind=ALL,
            value=value,
            low=value - reach if has_interval else None,  # type: ignore[operator]
            high=value + reach if has_interval else None,  # type: ignore[operator]
            n_users=len({sample.user for sample in self.samples}),
            n_prompts=len({sample.prompt for sample in self.samples}),
            n_samples=n,
            missing=sum(sample.image is None for sample in self.samples) + self.undrawn,
            direction=header["direction"],
            question=header["question"],
            won_by=tuple(header["won_by"]),
            floor=values.get(FLOOR_KEY),
        )

    def cost(self) -> dict[str, float | None]:
        """What the run took: seconds a user and an image, denoiser passes an image, bytes and parameters a user."""
        profiles = list(self.folder.profiles().values())
        drawn = [sample for sample in self.samples if sample.image is not None]
        return {
            "seconds_per_user": _mean([row["seconds"] for row in profiles]),
            "profile_bytes": _mean([row["bytes"] for row in profiles]),
            "trained_parameters": _mean([row["trained_parameters"] for row in profiles]),
            "seconds_per_image": _mean([sample.seconds for sample in drawn]),
            "nfe_per_image": _mean([sample.nfe for sample in drawn]),
            "peak_memory_bytes": max((row["peak_memory_bytes"] for row in profiles), default=None),
        }

    def table(self) -> pandas.DataFrame:
        """One row a sample: what the run noted of it, its kind of user, and its value of every metric over images."""
        import pandas

        frame = pandas.DataFrame([asdict(sample) for sample in self.samples])
        frame.insert(2, "kind", [self.kinds[sample.user] for sample in self.samples])
        over_images = {name: column for name, column in self.columns().items() if column.unit == "image"}
        return frame.assign(**{name: column.scores.values for name, column in over_images.items()})

    def write_summary(self) -> list[SummaryRow]:
        """Writes `summary.json` and `samples.parquet`; returns the summary's rows."""
        rows = self.summarise()
        content = {"spec": dict(self.spec), "cost": self.cost(), "rows": [asdict(row) for row in rows]}
        write_atomic(self.folder.path / "summary.json", json.dumps(content, indent=1) + "\n")
        write_atomic(self.folder.path / "samples.parquet", self.table().to_parquet(index=False))
        return rows


def _recipe(header: Mapping[str, Any]) -> str:
    parts = [header["metric"], header.get("extractor"), header.get("truth"), header.get("scorer", {}).get("id")]
    parts += ["proportion"] * (None not in header.get("bounds", (None, None)))
    return ", ".join(part for part in parts if part)


def jackknife_half_width(left_out: Sequence[Sequence[float | None]], *, level: float = 0.95) -> float | None:
    """Half the width of an interval from the values without each user and without each prompt.

    The jackknife's variances (Efron & Stein 1981) over users and over prompts add up, since both are samples of larger
    populations; Student's t has one degree of freedom less than the smaller number of groups. None without users.
    """
    users, prompts = (np.array([v for v in values if v is not None], dtype=np.float64) for values in left_out)
    complete = [len(kept) == len(values) for kept, values in zip((users, prompts), left_out, strict=True)]
    if len(users) < 3 or not all(complete):
        return None
    factors = [users, prompts] if len(prompts) else [users]
    variance = sum((len(f) - 1) / len(f) * ((f - f.mean()) ** 2).sum() for f in factors)
    return float(stdtrit(min(map(len, factors)) - 1, (1 + level) / 2) * np.sqrt(variance))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
