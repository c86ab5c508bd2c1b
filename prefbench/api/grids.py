"""A table as plain cells, for every medium: terminal, text, Markdown, LaTeX. What shows it does the escaping."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

Cells = tuple[str, ...]
TEXT_LIMIT = 300
"""Characters of one text from outside that a table or page shows; errors can be pages long."""
NOTE_LIMIT = 2000
"""Characters of a note at most; what it quotes from outside is cut before."""


@dataclass(frozen=True)
class Grid:
    """Cells as raw text, a line break within a cell as `\n`; a rule stands between sections. Empty sections vanish.

    `kept` are the columns that a narrow terminal repeats in each piece of a table that it cannot show whole;
    `words` are those that are aligned left, the others hold numbers.
    """

    title: str
    columns: Cells
    sections: Sequence[Sequence[Cells]]
    notes: Sequence[str] = ()
    kept: tuple[int, ...] = (0,)
    words: tuple[int, ...] = (0,)

    @property
    def filled(self) -> list[Sequence[Cells]]:
        """The sections that hold rows."""
        return [section for section in self.sections if section]

    def select(self, columns: Sequence[int]) -> Grid:
        """The same rows with some of the columns, without notes."""
        sections = [[tuple(row[i] for i in columns) for row in section] for section in self.filled]
        words = tuple(new for new, old in enumerate(columns) if old in self.words)
        return Grid(self.title, tuple(self.columns[i] for i in columns), sections, words=words)


def fixed(value: float | None, places: int) -> str:
    """A number with so many decimals; what rounds to zero has no sign, and none is a dash.

    Example:
        >>> fixed(-0.0004, 3), fixed(-0.0006, 3)
        ('0.000', '-0.001')
    """
    text = "—" if value is None else f"{value:.{places}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def counted(count: int, noun: str) -> str:
    """A count with its noun in the right number.

    Example:
        >>> counted(1, "user"), counted(2000, "user")
        ('1 user', '2,000 users')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def agreeing(count: int, one: str, many: str) -> str:
    """The form of a verb or a pronoun that goes with a count.

    Example:
        >>> agreeing(1, "is", "are"), agreeing(0, "is", "are")
        ('is', 'are')
    """
    return one if count == 1 else many


def printable(text: object, kept: str = "") -> str:
    """Without control or direction characters, so that a terminal shows it and does nothing else.

    A line break or tab becomes a blank, any other character � but those in `kept`.

    Example:
        >>> printable("red\\x1b[31m\\nhouse")
        'red�[31m house'
    """
    return "".join(c if c in kept else _shown(c) for c in str(text))


def plain(text: object, limit: int = TEXT_LIMIT) -> str:
    """One line of single blanks, printable and cut to `limit` characters.

    Example:
        >>> plain("a  red\\thouse", limit=6)
        'a red…'
    """
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zl", "Zp") or (category == "Cc" and character.isspace()):
        return " "
    return "�" if category.startswith("C") else character
