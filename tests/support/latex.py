"""LaTeX where it is at hand: documents compiled, boxes measured, tables read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not here (Debian: texlive-latex-extra texlive-science)"
)
_TABULAR = re.compile(r"\\begin\{tabular\}.*?\\end\{tabular\}", re.DOTALL)
_ROW = re.compile(r"^(?P<name>\{\}.*?) & (?P<cells>.*) \\\\(?:\*|\[1\.5pt\])?$")
_NUMBER = re.compile(r"(?:\$-\$|-)?\d+(?:\.\d+)?")
DOCUMENT = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[letterpaper,textwidth=6.75in,textheight=9in,columnsep=0.25in]{geometry}
%s
\input{preamble}
\input{macros}
\newlength{\measured}
\begin{document}
%s
\end{document}
"""


def compiled(folder: Path, body: str, *, fonts: str = "") -> str:
    """The log of a document in a folder of a paper; an error of LaTeX fails the test."""
    (folder / "test.tex").write_text(DOCUMENT % (fonts, body), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "test.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "test.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-3000:]
    return log


def all_of(folder: Path) -> str:
    """What shows every table and figure of a folder."""
    names = [path.stem for kind in ("table", "figure") for path in sorted(folder.glob(f"{kind}-*.tex"))]
    return "\n".join(rf"\input{{{name}}}" for name in names) + "\n\\clearpage"


def widths(folder: Path, *, fonts: str = "") -> Mapping[str, float]:
    """Points of each table as LaTeX sets it, by file; of several blocks the widest."""
    lines = []
    for path in sorted(folder.glob("table-*.tex")):
        content = path.read_text(encoding="utf-8")
        setup = re.search(r"\\setlength\{\\tabcolsep\}.*?\\selectfont", content, re.DOTALL)
        assert setup is not None
        for tabular in _TABULAR.findall(content):
            lines.append(rf"{{{setup[0]}\settowidth{{\measured}}{{{tabular}}}\typeout{{W {path.stem} \the\measured}}}}")
    log = compiled(folder, "\n".join(lines), fonts=fonts)
    found: dict[str, float] = {}
    for name, points in re.findall(r"^W (\S+) ([\d.]+)pt$", log, re.MULTILINE):
        found[name] = max(found.get(name, 0.0), float(points))
    return found


def rows_of_tex(path: Path) -> list[list[list[float]]]:
    """The numbers of a table as it stands in a file: for each row, for each column, value and ends of the interval.

    Columns without a value are empty. Blocks follow each other as they stand.
    """
    content = path.read_text(encoding="utf-8")
    stacked = "intervals below values" in content.partition("\n")[0]
    rows: list[list[list[float]]] = []
    lines = [line for tabular in _TABULAR.findall(content) for line in tabular.split("\n")]
    for i, line in enumerate(lines):
        if (match := _ROW.match(line)) is None:
            continue
        cells = match["cells"].split(" & ")
        below = lines[i + 1].removesuffix(r" \\[1.5pt]").split(" & ")[1:]
        beside = (below if line.endswith("*") else [""] * len(cells)) if stacked else cells[1::2]
        values = cells if stacked else cells[::2]
        rows.append([[*_numbers(v), *_numbers(_typeset(b))] for v, b in zip(values, beside, strict=True)])
    return rows


def names_of_tex(path: Path) -> list[str]:
    """The names of the rows, without marks, of a table whose names need no escape."""
    content = path.read_text(encoding="utf-8").replace(r"\allowbreak{}", "")
    names = [match["name"] for line in content.split("\n") if (match := _ROW.match(line))]
    bare = [re.sub(r"\\smash\{\\parbox\[t\]\{[^}]*\}\{\\raggedright (.*)\}\}", r"\1", name) for name in names]
    return [re.sub(r" *\$\\(approx|bowtie)\$", "", name.removeprefix("{}")).strip() for name in bare]


def _typeset(beside: str) -> str:
    """An interval without the commands that set its size and raise its marks."""
    bare = re.sub(r"\\fontsize\{[^}]*\}\{[^}]*\}|\\textsuperscript\{.*\}", "", beside)
    return re.sub(r"\\multicolumn\{1\}\{c\}", "", bare)


def _numbers(text: str) -> Sequence[float]:
    bare = re.sub(r"\\phantom\{[^}]*\}", "", text)
    return [float(number.replace("$-$", "-")) for number in _NUMBER.findall(bare)]
