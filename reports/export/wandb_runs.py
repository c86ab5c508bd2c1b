"""The form `wandb`: runs of Weights & Biases, written offline; `wandb sync` sends them when the user says so.

A run holds its settings, every number as summary, a table of its samples, and pictures. Nothing of the machine is
recorded, and what W&B keeps for itself (its logs, with paths) is not handed over. Tables are bound to their run before
they are logged: W&B would otherwise stage them as artifacts outside the folder and name them by absolute paths.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from prefbench.api import ReportCard, plain
from prefbench.run.environment import variables_set

from .card import page
from .exporter import PICTURES, Exporter
from .keys import flat_numbers
from .rows import Export, RunRows, SampleRow, plain_row

_QUIET = {"WANDB_ERROR_REPORTING": "false"}
"""W&B tells its makers of errors, unless told not to."""
_TOGETHER = 100
"""Pictures of one step; W&B takes 108."""
_ROWS = 10_000
"""Samples of a table; W&B shows no more of one."""


class WandbRuns(Exporter):
    """Runs with settings, numbers, samples and pictures, as W&B keeps them offline; or sent to the user's own project.

    Args:
        pictures: pictures of each run that are handed over at most; what is left out is said.
        project: the project that the runs belong to.
        online: send the runs as the user that the environment or `wandb login` names; the folder keeps a copy.
    """

    card: ClassVar[ReportCard] = ReportCard("wandb", "1", "scored runs as offline runs of Weights & Biases", "runs")
    needs: ClassVar[Sequence[str]] = ("wandb",)
    extra: ClassVar[str] = "wandb"

    def __init__(self, pictures: int = PICTURES, project: str = "prefbench", online: bool = False) -> None:
        super().__init__(pictures)
        self._project, self._online = project, online

    def fill(self, export: Export, folder: Path) -> Path:
        """Writes every run; returns the page, which lies beside them."""
        readme = folder / "report.md"
        readme.write_text(page(export), encoding="utf-8")
        work = folder / "work"
        work.mkdir()
        with variables_set(_QUIET):
            for run in export.runs:
                _log(run, export, self._settings(run, work), self._project)
        for written in sorted((work / "wandb").glob("*run-*")):
            if written.is_dir() and not written.is_symlink():
                _keep(written, folder / written.name)
        shutil.rmtree(work)
        return readme

    def _settings(self, run: RunRows, work: Path) -> Any:
        import wandb

        return wandb.Settings(
            mode="online" if self._online else "offline",
            root_dir=str(work),
            run_id=_id(run),
            run_name=plain(run.label, 120),
            run_group=None,
            reinit="create_new",
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            host="",
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )


def _log(run: RunRows, export: Export, settings: Any, project: str) -> None:
    import wandb

    about = {
        **run.settings,
        "part": "control" if run.is_control else "method",
        "command": run.command,
        "commit": run.commit,
        "worst": list(run.worst),
        "marks": list(export.table.notes),
        "pictures left out": run.left_out,
        "samples left out of the table": max(0, run.drawn + run.failed - _ROWS),
    }
    tags = ["control" if run.is_control else "method"]
    with wandb.init(project=project, config=about, tags=tags, settings=settings) as logged:
        for step, pictures in enumerate(_pictures(run)):
            logged.log({"pictures": pictures}, step=step)
        tables = {"samples": _samples(run), "summary": _summary(run)}
        for name, table in tables.items():
            table.bind_to_run(logged, name, 0)
        logged.log(tables)
        logged.summary.update(flat_numbers(run))


def _pictures(run: RunRows) -> Iterator[list[Any]]:
    """The pictures in steps, each with whose it is and what was asked for."""
    import wandb

    shown = [sample for sample in run.samples() if sample.shown and sample.image]
    for start in range(0, len(shown), _TOGETHER):
        yield [
            wandb.Image(Image.open(io.BytesIO(run.png(one.image or ""))), caption=_caption(one), file_type="png")
            for one in shown[start : start + _TOGETHER]
        ]


def _caption(sample: SampleRow) -> str:
    return plain(f"{sample.user} ({sample.kind}): {sample.prompt}")


def _samples(run: RunRows) -> Any:
    import wandb

    fields = ("user", "kind", "case", "prompt", "prompt_used", "index", "seed", "status", "error", "image")
    names = list(run.columns)
    rows: list[list[Any]] = []
    for sample in run.samples():
        if len(rows) == _ROWS:
            break
        stated = [getattr(sample, name) for name in fields]
        stated[fields.index("seed")] = str(sample.seed)  # a whole number ends at 2^53 where W&B shows it
        rows.append([*stated, *[sample.scores[name] for name in names]])
    return wandb.Table(columns=[*fields, *[f"score/{name}" for name in names]], data=rows, allow_mixed_types=True)


def _summary(run: RunRows) -> Any:
    import wandb

    rows = [{**plain_row(row), "won_by": " ".join(row.won_by)} for row in run.summary]
    return wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows], allow_mixed_types=True)


def _keep(written: Path, place: Path) -> None:
    """What `wandb sync` reads of a run: its records and its files."""
    place.mkdir()
    for record in written.glob("*.wandb"):
        record.rename(place / record.name)
    (written / "files").rename(place / "files")


def _id(run: RunRows) -> str:
    """An id that follows from the run, so that a run that is sent twice is there once."""
    spec = "\n".join([run.label, *[f"{name}={value}" for name, value in sorted(run.settings.items())]])
    return hashlib.sha256(spec.encode()).hexdigest()[:12]
