"""The form `inspect`: logs of inspect_ai as JSON, one per run, which `inspect view` and `read_eval_log` open.

The shape is that of `inspect_ai.log.EvalLog`, version 2, as inspect_ai 0.3 documents it
(https://inspect.aisi.org.uk/eval-logs.html). A case is a sample and its drawings are epochs of it. A value that is
missing is no score of its sample, and is counted as unscored; a failed sample has an error and no score. Of a number
stand `mean`, `low` and `high` (the interval): a standard error is not stored, and intervals here need not be symmetric.
Seeds are texts, since the viewer runs where whole numbers end at 2^53.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from prefbench.api import ALL, ReportCard, SummaryRow

from .exporter import Exporter
from .portable import portable_value
from .rows import Export, RunRows, SampleRow, plain_row


class InspectLogs(Exporter):
    """One log of inspect_ai per run.

    Args:
        pictures: pictures of each run that are handed over at most; what is left out is said.
    """

    card: ClassVar[ReportCard] = ReportCard("inspect", "1", "scored runs as logs of inspect_ai", "runs")

    def fill(self, export: Export, folder: Path) -> Path:
        """Writes every run; returns the log of the first."""
        logs = [_write(run, export, folder) for run in export.runs]
        return logs[0]


def _write(run: RunRows, export: Export, folder: Path) -> Path:
    """Streams the samples, so that a log of any size takes the memory of one of them."""
    path = folder / f"{run.begun.strftime('%Y-%m-%dT%H-%M-%S+00-00')}_{run.name}_{_id(run.name)}.json"
    head = json.dumps(_head(run, export), ensure_ascii=False, allow_nan=False, indent=1)
    with path.open("w", encoding="utf-8") as stream:
        stream.write(head[: head.rindex("}")].rstrip() + ',\n "samples": [')
        for number, sample in enumerate(run.samples()):
            text = json.dumps(_sample(run, sample), ensure_ascii=False, allow_nan=False)
            stream.write(f"{',' * (number > 0)}\n  {text}")
        stream.write("\n ]\n}\n")
    return path


def _head(run: RunRows, export: Export) -> dict[str, Any]:
    begun = run.begun.isoformat()
    unfinished = run.undrawn > 0
    return {
        "version": 2,
        "status": "cancelled" if unfinished else "success",
        "eval": _spec(run, export, begun),
        "plan": {"name": "plan", "steps": [{"solver": run.label, "params": {}}], "config": {}},
        "results": {
            "total_samples": run.drawn + run.failed + run.undrawn,
            "completed_samples": run.drawn,
            "scores": [_score(run, row) for row in run.of_all()],
            "metadata": {"cost": dict(run.cost), "summary": [plain_row(row) for row in run.summary]},
        },
        "stats": {"started_at": begun, "completed_at": begun},
        "invalidated": False,
    }


def _spec(run: RunRows, export: Export, begun: str) -> dict[str, Any]:
    cases = list(dict.fromkeys(sample.case for sample in run.source.samples))
    epochs = max((sample.index + 1 for sample in run.source.samples), default=1)
    about = f"{export.suite}-{export.split}"
    return {
        "eval_id": _id(run.name, run.begun.isoformat()),
        "run_id": _id(*[one.label for one in export.runs]),
        "created": begun,
        "task": f"prefbench/{about}",
        "task_id": _id(about),
        "task_version": 1,
        "task_args": {},
        "tags": ["control"] if run.is_control else ["method"],
        "dataset": {"name": about, "samples": len(cases), "sample_ids": cases, "shuffled": False},
        "model": f"prefbench/{run.label}",
        "model_args": dict(run.settings),
        "config": {"epochs": epochs},
        "packages": portable_value(dict(run.versions)),
        "metadata": {
            "command": run.command,
            "commit": run.commit,
            "worst": list(run.worst),
            "marks": list(export.table.notes),
            "pictures left out": run.left_out,
        },
        "scorers": [{"name": row.metric, "options": {}} for row in run.of_all()],
    }


def _score(run: RunRows, row: SummaryRow) -> dict[str, Any]:
    """One column's numbers over all users, and its value for each kind of user as a group."""
    metrics = {"mean": row.value, "low": row.low, "high": row.high}
    of_kinds = [one for one in run.summary if one.metric == row.metric and one.kind != ALL]
    groups = {
        f"kind: {one.kind}": {"name": one.kind, "group": "kind of user", "value": one.value, "metadata": plain_row(one)}
        for one in of_kinds
        if one.value is not None
    }
    whole = {name: {"name": name, "value": value} for name, value in metrics.items() if value is not None}
    return {
        "name": row.metric,
        "scorer": row.metric,
        "scored_samples": row.n_samples,
        "unscored_samples": row.missing,
        "metrics": {**whole, **groups},
        "metadata": plain_row(row),
    }


def _sample(run: RunRows, sample: SampleRow) -> dict[str, Any]:
    named = {"role": "assistant", "source": "generate", "content": f"picture {sample.image}"}
    answer = {**named, "content": _picture(run, sample) or f"picture {sample.image}, not handed over"}
    drawn = {"model": run.label, "choices": [{"message": named, "stop_reason": "stop"}], "time": sample.seconds}
    failed: dict[str, Any] = {"model": run.label, "choices": [], "error": sample.error}
    return {
        "id": sample.case,
        "epoch": sample.index + 1,
        "input": sample.prompt,
        "target": "",
        "messages": [{"role": "user", "content": sample.prompt}, *[answer] * (sample.image is not None)],
        "output": failed if sample.image is None else drawn,
        "scores": {name: {"value": value} for name, value in sample.scores.items() if value is not None},
        "metadata": {
            "user": sample.user,
            "kind": sample.kind,
            "prompt used": sample.prompt_used,
            "seed": str(sample.seed),
            "key": sample.key,
            "image": sample.image,
            "status": sample.status,
            "denoiser passes": sample.nfe,
        },
        "uuid": sample.key,
        "total_time": sample.seconds,
        **({} if sample.status == "ok" else {"error": _error(sample)}),
    }


def _picture(run: RunRows, sample: SampleRow) -> Sequence[Mapping[str, str]]:
    """A sample's picture as the content of a message; empty where it is not handed over."""
    if not (sample.shown and sample.image):
        return ()
    data = base64.b64encode(run.png(sample.image)).decode()
    return ({"type": "image", "image": f"data:image/png;base64,{data}"},)


def _error(sample: SampleRow) -> dict[str, str]:
    return {"message": sample.error or "failed", "traceback": "", "traceback_ansi": ""}


def _id(*parts: str) -> str:
    """An id that follows from what it is of."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:22]
