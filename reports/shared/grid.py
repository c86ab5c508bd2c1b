"""Tables as Markdown and LaTeX. All escaping happens here."""

from __future__ import annotations

from prefbench.api import NOTE_LIMIT, Cells, Grid, plain

from .escape import latex, markdown


def to_markdown(grid: Grid) -> str:
    """The table alone, for a page that has its own headings, with its notes below."""
    lines = [
        _markdown_row(grid.columns),
        "|" + "".join(" --- |" if i in grid.words else " ---: |" for i in range(len(grid.columns))),
    ]
    rule = ("",) * len(grid.columns)
    for i, section in enumerate(grid.filled):
        lines += [_markdown_row(rule)] if i else []
        lines += [_markdown_row(row) for row in section]
    return "\n".join(lines + [line for note in grid.notes for line in ("", markdown(note, NOTE_LIMIT))]) + "\n"


def to_latex(grid: Grid) -> str:
    """A `tabular` in the manner of booktabs."""
    body = [" \\midrule\n".join("".join(map(_latex_row, section)) for section in grid.filled)]
    columns = "l" + "r" * (len(grid.columns) - 1)
    head = f"% {plain(grid.title)}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{_latex_row(grid.columns)}\\midrule\n"
    return head + "".join(body) + "\\bottomrule\n\\end{tabular}\n"


def _markdown_row(row: Cells) -> str:
    return "| " + " | ".join("<br>".join(markdown(line) for line in cell.split("\n")) for cell in row) + " |"


def _latex_row(row: Cells) -> str:
    r"""The row in front of it ends with a `\\`, which would read a bracket or an asterisk as its option."""
    cells = " & ".join(" ".join(latex(line) for line in cell.split("\n")) for cell in row)
    return ("{}" if cells.lstrip().startswith(("[", "*")) else "") + cells + r" \\" + "\n"
