"""How a table fits its width: sizes of type, intervals beside or below values, columns in blocks below each other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Literal

import matplotlib
from PIL import ImageFont

from ..shared.cells import DASH
from ..shared.escape import latex

POINTS = 72.27
"""TeX's points an inch."""
SEP = 3.0
"""Points on either side of a column."""
BETWEEN = 2.0
"""Points between a value and the interval beside it."""
HEAD = 18
"""Letters of a line of a heading."""
_NAMES = 0.36
"""The most of the width that names may take; longer ones are broken."""
_WIDER = 1.15
"""How much wider than Computer Modern at 10 points letters of small type can be."""
_EM = 1000
LEADING = 1.18
"""From one line to the next, in sizes of type."""
PAGE = 600.0
"""Points of a page that one float may take."""


@dataclass(frozen=True)
class Cell:
    """A printed value, `[low, high]`, marks beside it, and how it is set off; `value` is empty where there is none."""

    value: str = ""
    interval: str = ""
    marks: str = ""
    set_off: Literal["", "best", "second"] = ""
    absent: str = DASH


Row = tuple[str, tuple[Cell, ...]]
"""A name and its cells."""


@dataclass(frozen=True)
class PaperTable:
    """A table as raw text, its caption too; a rule stands between sections. `stem` names its file."""

    stem: str
    caption: str
    stub: str
    heads: tuple[str, ...]
    sections: Sequence[Sequence[Row]]
    notes: Sequence[str] = ()

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for section in self.sections for row in section]

    def heading(self, column: int) -> list[str]:
        """A heading in lines: encoder, and the run that a win rate is over, on lines of their own."""
        parts = self.heads[column].replace(" (", "\n(", 1).replace(" over ", "\nover ", 1).split("\n")
        return [line for part in parts for line in textwrap.wrap(part, HEAD) or [""]]


@dataclass(frozen=True)
class Layout:
    """Points of names and values, of intervals and notes, whether intervals stand below, the columns of each block."""

    size: float
    small: float
    stacked: bool
    blocks: Sequence[Sequence[int]] = ()
    names: float | None = None
    """Points that names are broken at; None where they fit."""


_CHOICES = (
    Layout(8, 7, stacked=False),
    Layout(7, 7, stacked=False),
    Layout(8, 7, stacked=True),
    Layout(7, 7, stacked=True),
)
"""In this order; smaller than the last of each kind nothing is set."""


def fit(table: PaperTable, inches: float) -> Layout:
    """The first layout that holds all columns in one block; else that of the fewest blocks, in the largest type.

    A column that does not fit alone stands alone.
    """
    return min((_in_blocks(table, choice, inches * POINTS) for choice in _CHOICES), key=lambda one: len(one.blocks))


def floats(table: PaperTable, inches: float) -> list[PaperTable]:
    """The table in as many floats as it takes: blocks that are too high for a page stand apart, then sections."""
    pieces = _pieces(table, fit(table, inches), inches)
    if len(pieces) == 1:
        return [table]
    return [_part(table, piece, i, len(pieces)) for i, piece in enumerate(pieces)]


_Piece = tuple[list[int], list[Sequence[Row]]]
"""Columns and sections."""


def _pieces(table: PaperTable, layout: Layout, inches: float) -> list[_Piece]:
    """The blocks that fit a page together, each with all sections as far as these do."""
    sections, groups = [section for section in table.sections if section], list[list[Sequence[int]]]()
    for block in layout.blocks:
        if not groups or _height(table, layout, inches, len(groups[-1]) + 1, len(table.rows)) > PAGE:
            groups.append([])
        groups[-1].append(block)
    pieces: list[_Piece] = []
    for group in groups:
        columns = list(chain(*group))
        is_high = _height(table, layout, inches, len(group), len(table.rows)) > PAGE
        pieces += [(columns, [section]) for section in sections] if is_high else [(columns, sections)]
    return pieces


def _height(table: PaperTable, layout: Layout, inches: float, blocks: int, rows: int) -> float:
    """Points of a float with its caption, in type of 10 points, and its notes."""
    line = LEADING * layout.size
    row = 2 * line + 2 if layout.stacked else line
    heading = line * (1 + max(len(table.heading(column)) for column in range(len(table.heads))))
    points = inches * POINTS
    words = (width(table.caption, 10) // points + 2) * 12
    words += (sum(width(note, layout.small) for note in table.notes) // points + 1) * LEADING * layout.small
    return blocks * (rows * row + heading + 15) + words


def _part(table: PaperTable, piece: _Piece, part: int, parts: int) -> PaperTable:
    """Some columns and sections, under a name and a caption of their own; the notes stand below the first part."""
    columns, chosen = piece
    sections = [[(name, tuple(cells[c] for c in columns)) for name, cells in section] for section in chosen]
    where = f" (Part {part + 1} of {parts}{'; notes stand below part 1' if part else ''}.)"
    return replace(
        table,
        stem=f"{table.stem}-{part + 1}",
        caption=table.caption + where,
        heads=tuple(table.heads[c] for c in columns),
        sections=sections,
        notes=() if part else table.notes,
    )


def _in_blocks(table: PaperTable, choice: Layout, points: float) -> Layout:
    natural = max(width(name, choice.size) for name in [table.stub, *(name for name, _ in table.rows)])
    names = min(natural, _NAMES * points)
    room = points - names - SEP
    blocks: list[list[int]] = []
    left = 0.0
    for column in range(len(table.heads)):
        needed = _column(table, column, choice)
        if not blocks or needed > left:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= needed
    even = -(-len(table.heads) // len(blocks))
    evened = [list(range(i, min(i + even, len(table.heads)))) for i in range(0, len(table.heads), even)]
    fits = all(sum(_column(table, c, choice) for c in block) <= room for block in evened)
    return replace(choice, blocks=evened if fits else blocks, names=names if natural > names else None)


def _column(table: PaperTable, column: int, choice: Layout) -> float:
    """Points of a column with what stands on both sides of it."""
    cells = [row[column] for _, row in table.rows]
    value = number_width(cells, choice.size)
    beside = max((width(cell.interval.replace("-", "−") + cell.marks, choice.small) for cell in cells), default=0.0)
    heading = max(width(line, choice.size) for line in table.heading(column))
    inside = max(value, beside) if choice.stacked else value + BETWEEN + beside
    return max(inside, heading) + 2 * SEP


def number_width(cells: Sequence[Cell], size: float) -> float:
    """Points of numbers that are aligned by their decimal point."""
    sign, whole, decimals = number_format(cells)
    return width("−" * sign + "0" * whole + "." * bool(decimals) + "0" * decimals, size)


def number_format(cells: Sequence[Cell]) -> tuple[bool, int, int]:
    """Whether a number has a sign, and the most digits before and behind the point."""
    values = [cell.value for cell in cells if cell.value]
    wholes, decimals = zip(*[_digits(value) for value in values], strict=True) if values else ((1,), (0,))
    return any(value.startswith("-") for value in values), max(wholes), max(decimals)


def _digits(value: str) -> tuple[int, int]:
    whole, _, decimals = value.lstrip("-").partition(".")
    return len(whole), len(decimals)


def width(text: str, size: float) -> float:
    """Points of a text at a size, rather too many: letters of fonts differ, and signs are wide."""
    known = "".join(c for c in text if c.isascii())
    return (_font().getlength(known) / _EM + sum(_wide(c) for c in text if not c.isascii())) * size * _WIDER


def _wide(character: str) -> float:
    """Ems of what is written for a character beyond ASCII: a sign or a letter, else its code point."""
    return 0.35 * max(2.4, len(latex(character)) if latex(character).startswith("[U+") else 0)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/cmr10.ttf", _EM)
