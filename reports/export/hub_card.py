"""The card of a dataset of the hub, and results as the hub documents them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.api import SummaryRow, counted

from ..shared.escape import markdown
from .card import left_out, page
from .rows import Export, RunRows

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_COLUMNS = {
    "run, is_control": "the run as the table above names it, and whether it exists to expose a metric",
    "user, kind, case, prompt, index": "whom it was drawn for, for which prompt, which drawing of it",
    "prompt_used": "the text that the method put in the place of the prompt",
    "seed, seconds, nfe": "the seed of its noise, what it took, and how many denoiser passes",
    "status, error": "ok or failed; a failed sample has no picture and no score",
    "image, image_digest": "the picture, empty where it is not handed over, and a digest of its size and pixels",
    "score/...": "its value of each metric; empty where it has none, which is never taken as zero",
}


def readme(export: Export, repository: str, columns: Sequence[str]) -> str:
    """The card: front matter, then what the rows are, results, what is worst, and what ran."""
    import yaml

    front = yaml.safe_dump(_front(export), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{page(export)}\n" + "\n".join(_how_to_read(export, repository, columns)) + "\n"


def _front(export: Export) -> dict[str, Any]:
    rows = sum(run.drawn + run.failed for run in export.runs)
    return {
        "pretty_name": f"prefbench {export.suite} {export.split}",
        "license": "other",
        "license_name": "not-stated",
        "task_categories": ["text-to-image"],
        "tags": ["prefbench", "personalization", "image-generation", "evaluation"],
        "size_categories": [next((name for most, name in _SIZES if rows < most), "n>1M")],
        "configs": [
            {"config_name": "samples", "default": True, "data_files": _files(export, "samples/*.parquet")},
            {"config_name": "summary", "data_files": _files(export, "summary/*.parquet")},
        ],
    }


def _files(export: Export, path: str) -> list[dict[str, str]]:
    return [{"split": export.split, "path": path}]


def _how_to_read(export: Export, repository: str, columns: Sequence[str]) -> list[str]:
    rows = [f"| {markdown(name)} | {markdown(what)} |" for name, what in _COLUMNS.items()]
    omitted = [f"- {markdown(line)}" for line in left_out(export)] or ["- Every drawn picture is here."]
    return [
        "## The rows",
        "",
        "`samples` has one row per sample, `summary` one per number with its interval and what it stands on.",
        "",
        "| column | what it is |",
        "| --- | --- |",
        *rows,
        "",
        f"Metrics: {markdown(', '.join(columns), 2000)}.",
        "",
        *omitted,
        "- No licence is stated: whoever pushes this knows whose pictures and prompts they are, and writes it above.",
        f"- `eval/` holds results as the hub reads them. They name the dataset {markdown(repository)}: "
        "`eval.yaml` goes into the root of a dataset that the hub lists as a benchmark, a method's file into "
        "`.eval_results/` of its model.",
    ]


def write_results(export: Export, repository: str, folder: Path) -> None:
    """Writes `eval.yaml` and one file per method; controls are no models and have none."""
    import yaml

    folder.mkdir()
    honest = [run for run in export.runs if not run.is_control]
    (folder / "eval.yaml").write_text(yaml.safe_dump(_benchmark(export), sort_keys=False), encoding="utf-8")
    for run in honest:
        entries = [_entry(run, row, repository) for row in run.of_all() if row.value is not None]
        text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
        (folder / f"{run.name}.yaml").write_text(text, encoding="utf-8")


def _benchmark(export: Export) -> dict[str, Any]:
    """The dataset as a benchmark: one task per metric."""
    names = dict.fromkeys(row.metric for run in export.runs for row in run.of_all())
    return {
        "name": f"prefbench {export.suite} {export.split}",
        "description": "Personalised image generation: what methods draw for people whose likes and dislikes they saw.",
        "evaluation_framework": "prefbench",
        "tasks": [{"id": name, "config": "samples", "split": export.split} for name in names],
    }


def _entry(run: RunRows, row: SummaryRow, repository: str) -> Mapping[str, Any]:
    return {
        "dataset": {"id": repository, "task_id": row.metric},
        "value": row.value,
        "date": run.begun.date().isoformat(),
        "notes": _notes(run, row),
    }


def _notes(run: RunRows, row: SummaryRow) -> str:
    """The interval to the last digit, what the number stands on, and what limits it."""
    limits = [
        "no interval" if row.low is None or row.high is None else f"interval {row.low!r} to {row.high!r}",
        f"{counted(row.n_users, 'user')}, {counted(row.n_samples, 'sample')}, {row.missing} missing",
        *[f"can be won by {', '.join(row.won_by)}"] * bool(row.won_by),
        *[f"must not rank this method: {row.unranked}"] * bool(row.unranked),
        *[f"encoder: {row.foreign}"] * bool(row.foreign),
        *[f"{counted(run.failed, 'sample')} failed"] * bool(run.failed),
    ]
    return "; ".join(limits)
