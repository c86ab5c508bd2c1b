"""The folder of a paper: tables, figures with what includes them, macros, numbers, and what the preamble needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prefbench.files import json_text, write_atomic

from .cited import citations
from .figures import PaperFigure, adherence_of, curves, headline, tradeoff
from .layout import floats
from .material import Material
from .pictures import pictures
from .tables import tables_of
from .typeset import PREAMBLE, flowing, typeset

Width = Literal["column", "text"]
_OURS = re.compile(r"%[^\n]*made for [\d.]+ in \(")
"""How our files begin."""
INCHES: dict[Width, float] = {"column": 3.25, "text": 6.75}
"""The widths that tables and figures are made for: a column, and both with what lies between."""


@dataclass(frozen=True)
class Choices:
    """What is asked of a paper's tables and figures."""

    metrics: Sequence[str]
    width: Width
    label: str
    users: Sequence[str] = ()


def write_folder(material: Material, choices: Choices, folder: Path) -> list[Path]:
    """Writes everything and returns the paths, that of the main table first.

    Raises:
        PrefbenchError: a user that is none of the runs'; see `pictures`.
    """
    inches, paths = INCHES[choices.width], write_tables(material, choices, folder)
    for figure in draw(material, choices, folder):
        path = folder / f"figure-{figure.stem}.tex"
        write_atomic(path, _included(figure, choices, inches))
        paths += [path, *figure.paths]
    cited = citations(material, choices.metrics)
    texts = {
        "macros.tex": cited.as_tex(),
        "numbers.json": json_text(cited.as_json()) + "\n",
        "preamble.tex": PREAMBLE + "\n",
    }
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return [*paths, *(folder / name for name in texts)]


def write_tables(material: Material, choices: Choices, folder: Path) -> list[Path]:
    """Writes `table-<name>.tex` for every table that there is something for; the main one, or its first part, first."""
    folder.mkdir(parents=True, exist_ok=True)
    _remove_earlier(folder)
    inches, wide = INCHES[choices.width], choices.width == "text"
    paths = []
    for table in [part for whole in tables_of(material, choices.metrics)[0] for part in floats(whole, inches)]:
        path = folder / f"table-{table.stem}.tex"
        write_atomic(path, typeset(table, inches=inches, wide=wide, label=_label(choices.label, table.stem)))
        paths.append(path)
    return paths


def draw(material: Material, choices: Choices, folder: Path) -> list[PaperFigure]:
    """Every figure that there is something for."""
    inches = INCHES[choices.width]
    figures = [headline(material, folder, inches), tradeoff(material, folder, inches)]
    figures += [curves(one, folder, inches) for one in material.curves]
    if material.shown is not None:
        figures.append(pictures(material, material.shown, folder, inches, choices.users))
    return [figure for figure in figures if figure is not None]


def _remove_earlier(folder: Path) -> None:
    """Takes away what an earlier report of this kind wrote, so that nobody includes a table of other choices."""
    for path in [*folder.glob("table-*.tex"), *folder.glob("figure-*.tex")]:
        if _OURS.match(path.read_text(encoding="utf-8", errors="replace")):
            path.unlink()


def left_out(material: Material, choices: Choices) -> list[str]:
    """One line for each table and figure that there is nothing for."""
    lacking = ["tradeoff: no metric of adherence was scored"] * (adherence_of(material) is None)
    return [*material.left_out, *lacking, *tables_of(material, choices.metrics)[1]]


def _label(main: str, stem: str) -> str:
    """The label of the main table as it was asked for; others have their own name at its end."""
    return main if stem == "main" else f"{main}-{stem}"


def _included(figure: PaperFigure, choices: Choices, inches: float) -> str:
    environment = "figure*" if choices.width == "text" else "figure"
    label = f"fig:{choices.label.partition(':')[2] or choices.label}-{figure.stem}"
    return "\n".join(
        [
            f"% made for {inches:g} in ({choices.width} width); do not scale it",
            rf"\begin{{{environment}}}[tb]",
            r"\centering",
            rf"\includegraphics{{\pbfolder {figure.stem}.pdf}}",
            rf"\caption{{{flowing(figure.caption)}}}",
            rf"\label{{{label}}}",
            rf"\end{{{environment}}}",
            "",
        ]
    )
