"""What MLflow and W&B themselves read of what was written for them; skipped where they are not installed."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prefbench.api import PrefbenchError, image_digest
from prefbench.reports.export.keys import flat_numbers
from prefbench.reports.export.mlflow_store import MlflowStore
from prefbench.reports.export.rows import RunRows
from prefbench.reports.export.wandb_runs import WandbRuns
from prefbench.score.scored_folder import ScoredFolder

from .conftest import PROMPTS, Write

_BLOCK, _HEAD = 2**15, 7
"""Bytes of a block of W&B's record file, and of the head of the file and of each piece of a record."""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this process connect to nothing but itself."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


def traces(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_mlflow_reads_the_store(
    runs: list[ScoredFolder], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'prefbench[mlflow]'")
    pytest.importorskip("alembic")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nowhere.invalid")
    folder = write(MlflowStore(pictures=5)).rename(tmp_path / "moved")
    assert str(tmp_path).encode() not in traces(folder)
    assert b"/home/me" not in traces(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name == "prefbench toy test"]
    logged = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert logged.keys() == {"ours", "copy", "prompt-only"}
    ours, stored = logged["ours"], {row.metric: row for row in runs[0].summary() if row.kind == "all"}
    assert ours.data.metrics["utility"] == stored["utility"].value
    assert ours.data.metrics["utility_high"] == stored["utility"].high
    assert ours.data.metrics["utility_missing"] == 4
    assert ours.data.params["parameters.weights"] == "a.safetensors"
    assert logged["copy"].data.tags["prefbench.part"] == "control"
    assert "fails the audit: rows" in logged["copy"].data.tags["mlflow.note.content"]
    place = Path(client.download_artifacts(ours.info.run_id, ""))
    pictures = list((place / "pictures").iterdir())
    assert {image_digest(Image.open(path)) for path in pictures} == {path.stem for path in pictures}
    assert len(pictures) == 5
    rows = [json.loads(line) for line in (place / "samples.jsonl").read_text().splitlines()]
    assert [(row["user"], row["status"]) for row in rows] == [(s.user, s.status) for s in runs[0].samples]
    assert "<script" not in (place / "report.md").read_text()


def test_online_mlflow_asks_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(PrefbenchError, match="MLFLOW_TRACKING_URI, which is not set"):
        MlflowStore(online=True)


@pytest.mark.slow
def test_online_mlflow_sends_to_the_store_that_is_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'prefbench[mlflow]'")
    pytest.importorskip("alembic")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/server.db")
    folder = write(MlflowStore(online=True))
    assert [path.name for path in folder.iterdir()] == ["report.md"]
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/server.db")
    found = client.get_experiment_by_name("prefbench toy test")
    assert len(client.search_runs([found.experiment_id])) == 3


def records(path: Path) -> Iterator[Any]:
    """The records of an offline run, as `wandb sync` reads them: pieces in blocks, with a checksum each."""
    from wandb.proto import wandb_internal_pb2 as protocol

    data, place, whole = path.read_bytes(), _HEAD, b""
    while place + _HEAD <= len(data):
        if _BLOCK - place % _BLOCK < _HEAD:
            place += _BLOCK - place % _BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + _HEAD])
        whole += data[place + _HEAD : place + _HEAD + size]
        place += _HEAD + size
        if kind in (1, 4):  # a whole record, or its last piece
            record = protocol.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_wandb_keeps_everything_in_the_folder_and_sends_nothing(
    runs: list[ScoredFolder], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed: pip install 'prefbench[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))
    folder = write(WandbRuns(pictures=5))
    assert not list((tmp_path / "wandb-home").rglob("*.json")), "nothing is staged outside the folder"
    assert str(tmp_path).encode() not in traces(folder)
    assert b"/home/me" not in traces(folder)
    logged = {}
    for path in folder.glob("offline-run-*/*.wandb"):
        of_run = list(records(path))
        [started] = [record.run for record in of_run if record.WhichOneof("record_type") == "run"]
        updates = [update for one in of_run for update in one.summary.update]
        numbers = {u.key or ".".join(u.nested_key): json.loads(u.value_json) for u in updates}
        config = {update.key: json.loads(update.value_json) for update in started.config.update}
        logged[started.display_name] = (path.parent, config, numbers)
    assert logged.keys() == {"ours", "copy", "prompt-only"}
    stored = {row.metric: row for row in runs[0].summary() if row.kind == "all"}
    place, config, numbers = logged["ours"]
    assert numbers["utility"] == stored["utility"].value
    assert numbers["utility_low"] == stored["utility"].low
    assert config["parameters.weights"] == "a.safetensors"
    assert logged["copy"][1]["part"] == "control"
    digests = {image_digest(Image.open(path)) for path in (place / "files" / "media" / "images").iterdir()}
    assert len(digests) <= 5
    assert digests <= {sample.image for sample in runs[0].samples}
    [table] = (place / "files" / "media" / "table").glob("samples_*")
    content = json.loads(table.read_text())
    assert [row[content["columns"].index("status")] for row in content["data"]] == [s.status for s in runs[0].samples]
    assert PROMPTS["a cat"] in {row[content["columns"].index("prompt")] for row in content["data"]}


@pytest.mark.slow
def test_wandb_would_sync_the_folder(write: Write) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed: pip install 'prefbench[wandb]'")
    folders = [str(path) for path in write(WandbRuns(pictures=0)).glob("offline-run-*")]
    command = [sys.executable, "-m", "wandb", "sync", "--dry-run", *folders]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert "Would sync 3 run(s)" in done.stdout + done.stderr


def test_names_of_numbers_hold_what_every_tool_takes(runs: list[ScoredFolder]) -> None:
    from dataclasses import replace

    from prefbench.reports.export.gather import gather

    run: RunRows = gather(runs, 0).runs[0]
    row = run.summary[0]
    twins = [replace(row, metric="torch:ssim", value=1.0), replace(row, metric="torch;ssim", value=2.0)]
    numbers = flat_numbers(replace(run, summary=twins))
    assert (numbers["torch_ssim"], numbers["torch_ssim 2"]) == (1.0, 2.0)
