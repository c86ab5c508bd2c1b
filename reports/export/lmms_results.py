"""The form `lmms`: the result files of lmms-eval, as its `--output_path` and `--log_samples` write them.

The shape follows lmms-eval's `loggers/evaluation_tracker.py` and `evaluator.py` at commit 75571cf: per model a folder
with `<time>_results.json` and `<time>_samples_<task>.jsonl`; metrics are named `<metric>,<filter>` in the first and
`<metric>` in the second; a drawn answer is the text of a JSON object with `text` and `images`. An interval has no place
there: `<metric>_low` and `<metric>_high` stand beside the value, and its standard error is `N/A`, as none is stored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import ReportCard
from prefbench.files import json_text

from .exporter import Exporter
from .portable import portable_value
from .rows import Export, RunRows, SampleRow, plain_row

_FILTER = "none"
"""What lmms-eval calls answers that no filter has changed."""


class LmmsResults(Exporter):
    """One folder per run with lmms-eval's results, samples, and the pictures that these name.

    Args:
        pictures: pictures of each run that are handed over at most; what is left out is said.
    """

    card: ClassVar[ReportCard] = ReportCard("lmms", "1", "scored runs as result files of lmms-eval", "runs")

    def fill(self, export: Export, folder: Path) -> Path:
        """Writes every run; returns the results of the first."""
        task = re.sub(r"\W+", "_", f"prefbench_{export.suite}_{export.split}").strip("_")
        results = [self._run(run, export, task, folder / run.name) for run in export.runs]
        return results[0]

    def _run(self, run: RunRows, export: Export, task: str, folder: Path) -> Path:
        (folder / "images").mkdir(parents=True)
        time = run.begun.strftime("%Y%m%d_%H%M%S")
        hashes = []
        with (folder / f"{time}_samples_{task}.jsonl").open("w", encoding="utf-8") as stream:
            for number, (sample, line) in enumerate(_lines(run)):
                hashes.append(f"sample_{number}{line['doc_hash']}")
                stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                if sample.shown and sample.image:
                    (folder / "images" / f"{sample.image}.png").write_bytes(run.png(sample.image))
        path = folder / f"{time}_results.json"
        path.write_text(json_text(_results(run, export, task, "".join(hashes))) + "\n", encoding="utf-8")
        return path


def _lines(run: RunRows) -> Iterator[tuple[SampleRow, dict[str, Any]]]:
    """Each sample with its line."""
    for number, sample in enumerate(run.samples()):
        images = [f"images/{sample.image}.png"] if sample.shown else []
        about = {
            "user": sample.user,
            "kind": sample.kind,
            "case": sample.case,
            "prompt": sample.prompt,
            "prompt_used": sample.prompt_used,
            "index": sample.index,
            "seed": sample.seed,
            "image": sample.image,
            "status": sample.status,
            "error": sample.error,
        }
        line = {
            "doc_id": number,
            "target": "",
            "filtered_resps": json.dumps({"text": "", "images": images}) if sample.image else "",
            "token_counts": [None],
            "doc_hash": _hash(json.dumps(about, sort_keys=True)),
            "input": sample.prompt,
            "prefbench": about,
        }
        yield sample, line | {name: value for name, value in sample.scores.items() if name not in line}


def _results(run: RunRows, export: Export, task: str, hashes: str) -> dict[str, Any]:
    names = {row.metric: row.direction for row in run.of_all()}
    model_args = ",".join(f"{name}={value}" for name, value in run.settings.items() if value is not None)
    metrics = [{"metric": name, "higher_is_better": _better(way)} for name, way in names.items()]
    return {
        "results": {task: _numbers(run, task)},
        "group_subtasks": {task: []},
        "configs": {
            task: {
                "task": task,
                "dataset_path": export.suite,
                "test_split": export.split,
                "output_type": "generate_until",
                "repeats": 1,
                "metric_list": metrics,
                "metadata": {
                    "version": 1.0,
                    "prefbench": portable_value(dict(run.versions)),
                    "control": run.is_control,
                },
            }
        },
        "versions": {task: 1.0},
        "n-shot": {task: 0},
        "higher_is_better": {task: {name: _better(way) for name, way in names.items()}},
        "n-samples": {task: {"original": run.drawn + run.failed + run.undrawn, "effective": run.drawn + run.failed}},
        "config": {
            "model": run.label,
            "model_args": model_args,
            "batch_size": run.settings.get("batch"),
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": None,
            "bootstrap_iters": 0,
            "gen_kwargs": "",
            "random_seed": run.settings.get("seed"),
        },
        "git_hash": run.commit,
        "date": run.begun.timestamp(),
        "task_hashes": {task: _hash(hashes)},
        "model_source": "prefbench",
        "model_name": run.label,
        "model_name_sanitized": run.name,
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": None,
        "chat_template": None,
        "chat_template_sha": None,
        "start_time": None,
        "end_time": None,
        "total_evaluation_time_seconds": None,
        "prefbench": {
            "command": run.command,
            "failed": run.failed,
            "pictures_left_out": run.left_out,
            "worst": list(run.worst),
            "marks": list(export.table.notes),
            "cost": dict(run.cost),
            "summary": [plain_row(row) for row in run.summary],
        },
    }


def _numbers(run: RunRows, task: str) -> Mapping[str, Any]:
    """The numbers over all users; a column without a value has none here."""
    numbers: dict[str, Any] = {"alias": task, "samples": run.drawn + run.failed}
    for row in run.of_all():
        if row.value is not None:
            numbers[f"{row.metric},{_FILTER}"] = row.value
            numbers[f"{row.metric}_stderr,{_FILTER}"] = "N/A"
            numbers |= {f"{row.metric}_{end},{_FILTER}": getattr(row, end) for end in ("low", "high")}
    return numbers


def _better(direction: str) -> bool | None:
    return {"up": True, "down": False}.get(direction)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
