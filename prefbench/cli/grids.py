"""Tables on a terminal or as plain text."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import IO, Literal

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from prefbench.api import NOTE_LIMIT, Cells, Grid, plain

_LABEL = 30
"""Letters of a row's name on one line of a terminal; a longer one goes on below."""


def to_rich(grid: Grid) -> Group:
    """The table with its notes. Cells become `Text`, so nothing in them is read as rich markup; none is cut."""
    return Group(_table(grid), *_notes(grid))


def to_text(grid: Grid) -> str:
    """For logs and pipes: no colours, no folding, no trailing blanks."""
    console = Console(file=io.StringIO(), width=max(100, _width(grid)), color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(to_rich(grid), soft_wrap=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def show(grids: Sequence[Grid], stream: IO[str] | None = None) -> None:
    """Prints tables: in colour and as wide as the terminal, as plain text elsewhere."""
    target = stream or sys.stdout
    for i, grid in enumerate(grids):
        target.write("\n" if i else "")
        if not target.isatty():
            target.write(to_text(grid))
            continue
        console = Console(file=target)
        for part in fold(grid, console.width):
            # A column that is wider than the terminal runs over its edge: half a number would be a wrong number.
            Console(file=target, width=max(console.width, _width(part, _LABEL))).print(_table(part, _LABEL))
        console.print(*_notes(grid), sep="\n")


def fold(grid: Grid, width: int) -> list[Grid]:
    """The table as parts that are at most so wide, each with the kept columns.

    Where fewer parts are enough if intervals stand below their values, they do.
    """
    return min(_parts(grid, width), _parts(_stacked(grid), width), key=len)


def _stacked(grid: Grid) -> Grid:
    """The table with the intervals below their values."""

    def below(cells: Cells) -> Cells:
        return tuple(cell if i in grid.words else cell.replace(" [", "\n[", 1) for i, cell in enumerate(cells))

    return replace(grid, columns=below(grid.columns), sections=[[below(row) for row in rows] for rows in grid.sections])


def _parts(grid: Grid, width: int) -> list[Grid]:
    parts: list[list[int]] = [[]]
    for i in (i for i in range(len(grid.columns)) if i not in grid.kept):
        if parts[-1] and _width(grid.select(sorted([*grid.kept, *parts[-1], i])), _LABEL) > width:
            parts.append([])
        parts[-1].append(i)
    return [grid.select(sorted([*grid.kept, *part])) for part in parts]


def _table(grid: Grid, longest: int | None = None) -> Table:
    """The table; a name in the first column goes on below after `longest` letters."""
    title = Text(plain(grid.title), style="bold")
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, column in enumerate(grid.columns):
        side: Literal["left", "right"] = "left" if i in grid.words else "right"
        table.add_column(_lines(column), justify=side, overflow="fold", max_width=None if i else longest)
    for section in grid.filled:
        for row in section:
            table.add_row(*[_lines(cell) for cell in row])
        table.add_section()
    return table


def _width(grid: Grid, longest: int | None = None) -> int:
    """Columns of a terminal that the table needs."""
    return Console(width=10_000).measure(_table(grid, longest)).maximum


def _notes(grid: Grid) -> list[Text]:
    return [Text(plain(note, NOTE_LIMIT), style="dim") for note in grid.notes]


def _lines(cell: str) -> Text:
    return Text("\n".join(plain(line) for line in cell.split("\n")))
