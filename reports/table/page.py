"""`report.md` with everything a reader of a run asks for: what ran, the tables, the pictures, what the marks mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from prefbench.api import Grid, History
from prefbench.files import write_atomic
from prefbench.stats.rules import interval_sentence, p_sentence

from ..shared.escape import code_block, csv_cell, markdown, slug
from ..shared.frame import BASELINES, CEILING, GAP
from ..shared.grid import to_latex, to_markdown
from .compare import Comparison, as_json
from .described import DescribedRun, described, page_tables
from .figures import draw_figure
from .gallery import draw_gallery
from .grids import gap_notes


class Safe(str):
    """Markdown of our own making; everything else that a template prints is escaped."""


def write_page(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes the report of one or several compared runs; returns the paths, that of `report.md` first.

    With the page stand the gallery of each run (where the comparison has histories), the figure as PNG and PDF (for
    several runs), the rows as `rows.csv`, the table as `table.tex`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    galleries = {} if comparison.histories is None else _galleries(comparison, comparison.histories(), folder)
    figure = draw_figure(comparison, folder / "figure") if len(comparison.runs) > 1 else []
    tables = page_tables(comparison)
    page, rows, table = (folder / name for name in ("report.md", "rows.csv", "table.tex"))
    write_atomic(rows, rows_as_csv(comparison))
    write_atomic(table, to_latex(tables[0]))
    write_atomic(page, _render(comparison, tables, galleries, [path.name for path in figure]))
    return [page, rows, table, *figure, *(folder / name for name in galleries.values())]


def _render(comparison: Comparison, tables: Sequence[Grid], galleries: Mapping[str, str], figure: Sequence[str]) -> str:
    template = _environment().get_template("report.md.j2")
    return template.render(
        title=", ".join(comparison.runs),
        runs=[_escaped(described(label, run)) for label, run in comparison.runs.items()],
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


def _escaped(run: DescribedRun) -> DescribedRun:
    return replace(run, command=Safe(code_block(run.command)))


def rows_as_csv(comparison: Comparison) -> str:
    """The rows of `as_json` as CSV; an absent number is an empty cell."""
    rows = [{**row, "won_by": " ".join(row["won_by"])} for row in as_json(comparison.rows)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _galleries(comparison: Comparison, history: Callable[[str], History], folder: Path) -> dict[str, str]:
    """Label to file name. Names are numbered where labels would give the same one."""
    names: dict[str, str] = {}
    for label, run in comparison.runs.items():
        numbers = ("", *(f"-{i}" for i in range(1, len(comparison.runs))))
        candidates = [f"gallery-{slug(label)}{number}.png" for number in numbers]
        names[label] = next(name for name in candidates if name not in names.values())
        draw_gallery(run, history, folder / names[label])
    return names


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
