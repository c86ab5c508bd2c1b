"""`report.md` with everything a reader of a run asks for: what ran, the tables, the pictures, what the marks mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from prefbench.api import Grid, History, ScoredRun
from prefbench.api.grids import counted
from prefbench.api.runs import is_given
from prefbench.files import write_atomic
from prefbench.stats.rules import interval_sentence, p_sentence

from ..shared.escape import code_block, csv_cell, markdown, slug
from ..shared.frame import BASELINES, CEILING, GAP
from ..shared.grid import to_latex, to_markdown
from .compare import Comparison, as_json
from .figures import draw_figure
from .gallery import draw_gallery
from .grids import cost_grid, difference_grid, gap_notes, kinds_grid, run_grid, runs_grid


class Safe(str):
    """Markdown of our own making; everything else that a template prints is escaped."""


@dataclass(frozen=True)
class Ran:
    """The header of one run."""

    label: str
    settings: dict[str, Any]
    command: Safe
    versions: str
    hardware: str


def write_page(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes the report of one or several compared runs; returns the paths, that of `report.md` first.

    With the page stand the gallery of each run (where the comparison has histories), the figure as PNG and PDF (for
    several runs), the rows as `rows.csv`, the table as `table.tex`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    galleries = {} if comparison.histories is None else _galleries(comparison, comparison.histories(), folder)
    figure = draw_figure(comparison, folder / "figure") if len(comparison.runs) > 1 else []
    tables = _tables(comparison)
    page, rows, table = (folder / name for name in ("report.md", "rows.csv", "table.tex"))
    write_atomic(rows, rows_as_csv(comparison))
    write_atomic(table, to_latex(tables[0]))
    write_atomic(page, _render(comparison, tables, galleries, [path.name for path in figure]))
    return [page, rows, table, *figure, *(folder / name for name in galleries.values())]


def _render(comparison: Comparison, tables: Sequence[Grid], galleries: Mapping[str, str], figure: Sequence[str]) -> str:
    template = _environment().get_template("report.md.j2")
    return template.render(
        title=", ".join(comparison.runs),
        runs=[_ran(label, run) for label, run in comparison.runs.items()],
        tables=[(table.title, Safe(to_markdown(table))) for table in tables],
        galleries=galleries,
        figure=figure,
        failures=[note for label, run in comparison.runs.items() for note in gap_notes(run, label)],
        compared=any(row.difference for row in comparison.rows),
        ranked=bool(comparison.ranks),
        ranked_by=comparison.ranked_by,
        gap=GAP in comparison.metrics,
        family=comparison.family,
        tests=Safe(p_sentence()),
        intervals=Safe(interval_sentence()),
        own=comparison.own,
        lines=[name for name in (*BASELINES, CEILING) if name in comparison.methods],
    )


def rows_as_csv(comparison: Comparison) -> str:
    """The rows of `as_json` as CSV; an absent number is an empty cell."""
    rows = [{**row, "won_by": " ".join(row["won_by"])} for row in as_json(comparison.rows)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _tables(comparison: Comparison) -> list[Grid]:
    """The main table first."""
    labels = list(comparison.runs)
    tables = [run_grid(comparison, labels[0])] if len(labels) == 1 else [runs_grid(comparison)]
    if len(labels) > 1:
        tables += [runs_grid(comparison, parts=True)] * any("/" in name for name in comparison.metrics)
        tables += [difference_grid(comparison)] * any(row.difference for row in comparison.rows)
    split = dict.fromkeys(row.summary.metric for row in comparison.rows if row.summary.kind != "all")
    tables += [kinds_grid(comparison, metric) for metric in comparison.metrics if metric in split and "/" not in metric]
    return [*tables, cost_grid(comparison)]


def _galleries(comparison: Comparison, history: Callable[[str], History], folder: Path) -> dict[str, str]:
    """Label to file name. Names are numbered where labels would give the same one."""
    names: dict[str, str] = {}
    for label, run in comparison.runs.items():
        numbers = ("", *(f"-{i}" for i in range(1, len(comparison.runs))))
        candidates = [f"gallery-{slug(label)}{number}.png" for number in numbers]
        names[label] = next(name for name in candidates if name not in names.values())
        draw_gallery(run, history, folder / names[label])
    return names


def _ran(label: str, run: ScoredRun) -> Ran:
    spec, environment = run.spec, run.description.get("environment", {})
    code = environment.get("code", {})
    settings = {
        "method": f"{spec['method']}, version {spec['method_version']}",
        "control": spec["control"] or "none",
        "parameters": ", ".join(f"{name}={value}" for name, value in spec["parameters"].items()) or "none",
        "suite": f"{spec['suite']} {spec['split']}, digest {spec['suite_digest'][:12]}",
        **_drawn_by(run),
        "samples": _samples(run),
        "pictures": run.drawn().pictures.in_full,
        "texts": "; ".join(run.drawn().texts) or "not counted",
        "code": f"commit {code.get('commit') or 'unknown'}{' with local changes' if code.get('dirty') else ''}",
    }
    return Ran(
        label,
        settings,
        Safe(code_block(run.description.get("command") or "unknown")),
        ", ".join(f"{name} {version}" for name, version in environment.get("versions", {}).items() if version),
        ", ".join(f"{name} {_listed(value)}" for name, value in environment.get("hardware", {}).items()),
    )


def _drawn_by(run: ScoredRun) -> dict[str, str]:
    """Backbone and sampler; of given images what is said of them."""
    spec = run.spec
    if is_given(spec):
        said, given = run.description.get("backbone", {}), run.description.get("given", {})
        stated = f"{spec['backbone']}; by its card: {said.get('stated', 'not stated')}"
        return {"backbone": stated, "drawing": f"seeds: {given.get('seeds', 'not stated')}, run seed {spec['seed']}"}
    return {
        "backbone": f"{spec['backbone']}, digest {spec['backbone_digest'][:12]}, {spec['dtype']}",
        "drawing": f"{spec['steps']} steps, guidance {spec['guidance']}, run seed {spec['seed']}",
    }


def _listed(value: Any) -> str:
    return (" + ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _samples(run: ScoredRun) -> str:
    users, prompts = {sample.user for sample in run.samples}, {sample.prompt for sample in run.samples}
    failed = sum(sample.image is None for sample in run.samples)
    whose = f"{counted(len(users), 'user')} and {counted(len(prompts), 'prompt')}"
    return f"{len(run.samples)} of {whose}, {failed} failed"


def _environment() -> Environment:
    """Escapes whatever is printed and not `Safe`; an unknown name is an error, not a gap."""
    return Environment(
        loader=PackageLoader("prefbench.reports.table"),
        autoescape=False,
        finalize=lambda value: value if isinstance(value, Safe) else markdown(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
