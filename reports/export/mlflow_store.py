"""The form `mlflow`: runs in a local store of MLflow, `mlflow.db` (SQLite) with its files in `mlruns/` beside it.

MLflow's own default is SQLite since 3.7 and its older store of plain files is no longer developed
(https://mlflow.org/docs/latest/self-hosting/architecture/backend-store). MLflow writes where its files lie as absolute
paths; here they are relative to the folder, which can be moved: start `mlflow server` inside it.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from prefbench.api import PrefbenchError, ReportCard
from prefbench.files import json_text
from prefbench.run.environment import variables_set

from ..shared.escape import markdown
from .card import page, worst
from .exporter import PICTURES, Exporter
from .keys import flat_numbers
from .rows import Export, RunRows, plain_row

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
"""MLflow tells its makers of use, unless told not to."""
_LOCATIONS = (("experiments", "artifact_location"), ("runs", "artifact_uri"))
_BATCH = 500
"""Metrics of one call; MLflow takes a thousand."""
_PARAMETER = 6_000
"""Characters of a parameter that MLflow takes."""


class MlflowStore(Exporter):
    """Runs with parameters, metrics, pictures and the page, in a local store; or sent to the user's own server.

    Args:
        pictures: pictures of each run that are handed over at most; what is left out is said.
        online: send the runs to the server that the environment names, MLFLOW_TRACKING_URI, and write the page alone.
    """

    card: ClassVar[ReportCard] = ReportCard("mlflow", "1", "scored runs as a local store of MLflow", "runs")
    needs: ClassVar[Sequence[str]] = ("mlflow", "sqlalchemy", "alembic")
    extra: ClassVar[str] = "mlflow"

    def __init__(self, pictures: int = PICTURES, online: bool = False) -> None:
        super().__init__(pictures)
        self._server = os.environ.get("MLFLOW_TRACKING_URI", "") if online else None
        if self._server == "":
            raise PrefbenchError("online=true sends runs to the server in MLFLOW_TRACKING_URI, which is not set")

    def fill(self, export: Export, folder: Path) -> Path:
        """Writes, or sends, every run."""
        readme = folder / "report.md"
        readme.write_text(page(export), encoding="utf-8")
        database = folder / "mlflow.db"
        with variables_set(_QUIET), _less_said():
            from mlflow import MlflowClient

            client = MlflowClient(self._server or f"sqlite:///{database.as_posix()}")
            experiment = _experiment(client, export, None if self._server else folder / "mlruns")
            for run in export.runs:
                _log(client, experiment, run, export)
            if self._server is None:
                client._tracking_client.store.engine.dispose()
        if self._server is not None:
            return readme
        _make_relative(database, folder)
        return database


def _experiment(client: Any, export: Export, files: Path | None) -> str:
    """The id of the experiment, a new one where the store has none of the name."""
    name = f"prefbench {export.suite} {export.split}"
    if files is not None:
        return str(client.create_experiment(name, artifact_location=files.as_posix()))
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _log(client: Any, experiment: str, run: RunRows, export: Export) -> None:
    from mlflow.entities import Metric, Param, RunTag

    begun = int(run.begun.timestamp() * 1000)
    tags = {
        "prefbench.part": "control" if run.is_control else "method",
        "prefbench.command": run.command,
        "prefbench.commit": run.commit or "unknown",
        "mlflow.note.content": "\n".join([f"- {markdown(line)}" for line in run.worst]),
    }
    started = client.create_run(experiment, start_time=begun, run_name=run.label).info.run_id
    parameters = [Param(name, str(value)[:_PARAMETER]) for name, value in run.settings.items()]
    client.log_batch(started, params=parameters, tags=[RunTag(name, text) for name, text in tags.items()])
    metrics = [Metric(name, value, begun, 0) for name, value in flat_numbers(run).items()]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(started, metrics=metrics[start : start + _BATCH])
    with TemporaryDirectory(prefix="prefbench-") as work:
        _write_files(run, export, Path(work))
        client.log_artifacts(started, work)
    client.set_terminated(started, "FINISHED" if not run.undrawn else "KILLED", end_time=begun)


def _write_files(run: RunRows, export: Export, folder: Path) -> None:
    """The files of a run: the page of all runs, its own numbers as stored, every sample, pictures."""
    texts = {
        "report.md": page(export),
        "worst.md": "\n".join(worst(export)),
        "rows.csv": export.rows,
        "summary.json": json_text([plain_row(row) for row in run.summary]) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pictures").mkdir()
    with (folder / "samples.jsonl").open("w", encoding="utf-8") as stream:
        for sample in run.samples():
            stream.write(json.dumps(asdict(sample), ensure_ascii=False, allow_nan=False) + "\n")
            if sample.shown and sample.image:
                (folder / "pictures" / f"{sample.image}.png").write_bytes(run.png(sample.image))


def _make_relative(database: Path, folder: Path) -> None:
    """Makes the places of files relative to the folder of the database, and leaves no trace of where they were."""
    with closing(sqlite3.connect(database)) as connection:
        for table, column in _LOCATIONS:
            for key, value in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                start = f"{folder.as_posix()}/"
                place = value.removeprefix("file://").removeprefix(start) if start in value else "mlruns/0"
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (place, key))
        connection.commit()
        connection.execute("VACUUM")


@contextmanager
def _less_said() -> Iterator[None]:
    """Keeps what MLflow tells of making its tables off the screen."""
    names = ("mlflow.store.db.utils", "mlflow.tracking", "alembic")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.WARNING)
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
