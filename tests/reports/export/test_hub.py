"""The dataset folder: Parquet that holds every sample, a card that is valid, results as the hub documents them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard, parse_eval_result_entries
from markdown_it import MarkdownIt
from PIL import Image
from pyarrow import parquet

from prefbench.api import image_digest
from prefbench.reports.export.hub_dataset import SCORE, HubDataset
from prefbench.score.scored_folder import ScoredFolder

from .conftest import PROMPTS, Write


def samples(folder: Path, run: str = "ours") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(folder / "samples" / f"{run}.parquet").to_pylist()
    return rows


def test_every_sample_is_a_row_with_its_scores_and_its_picture(runs: list[ScoredFolder], write: Write) -> None:
    rows, stored = samples(write(HubDataset())), runs[0].samples
    assert [(r["key"], r["prompt"], r["seed"], r["status"]) for r in rows] == [
        (s.key, s.prompt, s.seed, s.status) for s in stored
    ]
    values = runs[0].columns()["utility"].scores.values
    assert [row[f"{SCORE}utility"] for row in rows] == [None if v != v else v for v in values.tolist()]
    for row, sample in zip(rows, stored, strict=True):
        if sample.image is None:
            assert row["image"] is None
            assert row["error"].startswith("OSError: a.bin")
        else:
            assert image_digest(Image.open(io.BytesIO(row["image"]["bytes"]))) == sample.image
            assert row["image"]["path"] == f"{sample.image}.png"
    assert PROMPTS["a cat"] in {row["prompt"] for row in rows}, "data stays as it is"


def test_pictures_are_bounded_and_the_card_says_so(write: Write) -> None:
    folder = write(HubDataset(pictures=2))
    assert sum(row["image"] is not None for row in samples(folder)) == 2
    assert "ours: 6 pictures of 8 left out" in (folder / "README.md").read_text()


def test_the_schema_is_what_datasets_reads(write: Write) -> None:
    schema = parquet.read_schema(write(HubDataset()) / "samples" / "ours.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["image"] == {"_type": "Image"}
    assert features[f"{SCORE}utility"] == {"_type": "Value", "dtype": "float64"}


def test_the_summary_is_the_stored_one_to_the_digit(runs: list[ScoredFolder], write: Write) -> None:
    rows = parquet.read_table(write(HubDataset()) / "summary" / "summary.parquet").to_pylist()
    handed = {(row["run"], row["metric"], row["kind"]): row for row in rows}
    for run in runs:
        for row in run.summary():
            found = handed[run.method, row.metric, row.kind]
            assert (found["value"], found["low"], found["high"]) == (row.value, row.low, row.high)
            assert (found["missing"], found["n_samples"], found["won_by"]) == (
                row.missing, row.n_samples, list(row.won_by),
            )  # fmt: skip


def test_the_front_matter_names_files_that_are_there(write: Write) -> None:
    folder = write(HubDataset())
    card = DatasetCard.load(folder / "README.md")
    content = card.data.to_dict()
    assert content["license"] == "other"
    for config in content["configs"]:
        for files in config["data_files"]:
            assert files["split"] == "test"
            assert list(folder.glob(files["path"]))
    assert not (folder / "eval.yaml").exists(), "the hub would check one in the root when it is pushed"


def test_hostile_texts_do_nothing_in_the_card(write: Write) -> None:
    text = (write(HubDataset()) / "README.md").read_text()
    body = text.split("---\n", 2)[2]
    rendered = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(body)
    assert "<script" not in rendered
    assert "<img" not in rendered
    assert "† the control copy can win" in rendered
    assert "copy: fails the audit: rows" in rendered
    assert "4 of 12 samples failed" in rendered


def test_results_parse_as_the_hub_parses_them(runs: list[ScoredFolder], write: Write) -> None:
    folder = write(HubDataset(repository="someone/else")) / "eval"
    assert sorted(path.name for path in folder.iterdir()) == ["eval.yaml", "ours.yaml", "prompt-only.yaml"]
    benchmark = yaml.safe_load((folder / "eval.yaml").read_text())
    tasks = {task["id"] for task in benchmark["tasks"]}
    entries = parse_eval_result_entries(yaml.safe_load((folder / "ours.yaml").read_text()))
    assert {entry.dataset_id for entry in entries} == {"someone/else"}
    assert {entry.task_id for entry in entries} <= tasks
    stored = {row.metric: row for row in runs[0].summary() if row.kind == "all"}
    by_task = {entry.task_id: entry for entry in entries}
    assert by_task["utility"].value == stored["utility"].value
    notes = by_task["utility"].notes or ""
    assert f"interval {stored['utility'].low!r} to {stored['utility'].high!r}" in notes
    assert "can be won by copy" in notes
    assert "4 samples failed" in notes


@pytest.mark.slow
def test_datasets_loads_the_folder(write: Write, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="datasets is not installed: pip install 'prefbench[hub]'")
    folder = write(HubDataset())
    code = (
        "import sys, datasets; from prefbench.api import image_digest\n"
        "rows = datasets.load_dataset(sys.argv[1])['test']\n"
        "assert isinstance(rows.features['image'], datasets.Image)\n"
        "assert all(image_digest(r['image']) == r['image_digest'] for r in rows if r['image'])\n"
        "print(len(rows), len(datasets.load_dataset(sys.argv[1], 'summary')['test']))"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "36"
