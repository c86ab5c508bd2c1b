"""Tables in LaTeX: booktabs, siunitx, a caption, a label, and notes below. All escaping happens here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefbench.api import NOTE_LIMIT, plain

from ..shared.escape import latex
from .layout import BETWEEN, LEADING, SEP, Cell, Layout, PaperTable, Row, fit, number_format, width

PACKAGES = ("array", "booktabs", "graphicx", "siunitx")
PREAMBLE = "\n".join(
    [
        "% What the tables and figures of this folder need.",
        *(rf"\usepackage{{{name}}}" for name in PACKAGES),
        r"\providecommand{\pbfolder}{} % the folder of the figures, with a slash at its end",
    ]
)
_PIECES = re.compile(r"[^-/_.:=+@,]{1,16}[-/_.:=+@,]*|[-/_.:=+@,]+")
_RAISED = "†‡§¶"


def typeset(table: PaperTable, *, inches: float, wide: bool, label: str) -> str:
    """A float of the given width; `wide` is one over both columns of a page, whose notes are as wide as itself."""
    layout = fit(table, inches)
    environment = "table*" if wide else "table"
    blocks = "\\par\\vspace{6pt}\n".join(_block(table, layout, columns) for columns in layout.blocks)
    stacked = ", intervals below values" if layout.stacked else ""
    blocks_text = f", {len(layout.blocks)} blocks" if len(layout.blocks) > 1 else ""
    return "\n".join(
        [
            f"% {plain(table.stem)}: made for {inches:g} in ({'text' if wide else 'column'} width); type of "
            f"{layout.size:g} and {layout.small:g} pt{stacked}{blocks_text}.",
            rf"\begin{{{environment}}}[tb]",
            r"\centering",
            r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{4pt}%",
            rf"\caption{{{flowing(table.caption)}}}",
            rf"\label{{{label}}}",
            rf"\setlength{{\tabcolsep}}{{{SEP:g}pt}}\sisetup{{mode=text, detect-weight=true}}%",
            _size(layout.size),
            blocks + _notes(table.notes, layout),
            rf"\end{{{environment}}}",
            "",
        ]
    )


def flowing(text: str) -> str:
    """A text of ours or from outside that can be broken within long words; never a command, never too wide."""
    words = plain(text, NOTE_LIMIT).split(" ")
    return " ".join(latex(w) if len(w) <= 12 else _broken(w) for w in words)


def _broken(word: str) -> str:
    return r"\allowbreak{}".join(latex(piece) for piece in _PIECES.findall(word))


def _size(points: float) -> str:
    return rf"\fontsize{{{points:g}}}{{{LEADING * points:.1f}}}\selectfont"


def _notes(notes: Sequence[str], layout: Layout) -> str:
    """A paragraph below the table, as wide as the column."""
    if not notes:
        return ""
    text = " ".join(flowing(note) for note in notes)
    return f"\\par\\vspace{{4pt}}\n\\parbox{{\\linewidth}}{{{_size(layout.small)}\\raggedright\n{text}}}"


def _block(table: PaperTable, layout: Layout, columns: Sequence[int]) -> str:
    formats = [_column(table, layout, column) for column in columns]
    name = "l" if layout.names is None else rf">{{\raggedright\arraybackslash}}p{{{layout.names:.1f}pt}}"
    span = 1 if layout.stacked else 2
    heads = [_heading(table.heading(column), span) for column in columns]
    rules = "\\midrule\n".join(
        "".join(_row(table, row, layout, columns) for row in section) for section in table.sections if section
    )
    return (
        f"\\begin{{tabular}}{{@{{}}{name}{''.join(formats)}@{{}}}}\n\\toprule\n"
        f"{flowing(table.stub)} & {' & '.join(heads)} \\\\\n\\midrule\n{rules}\\bottomrule\n\\end{{tabular}}"
    )


def _column(table: PaperTable, layout: Layout, column: int) -> str:
    sign, whole, decimals = number_format([row[column] for _, row in table.rows])
    number = f"S[table-format={'-' * sign}{whole}.{decimals}]"
    return number if layout.stacked else rf"{number}@{{\hspace{{{BETWEEN:g}pt}}}}l"


def _heading(lines: Sequence[str], span: int) -> str:
    text = r"\\".join(_marked(line) for line in lines)
    return rf"\multicolumn{{{span}}}{{c}}{{\shortstack{{{text}}}}}"


def _marked(text: str) -> str:
    """A text with the marks at its end raised."""
    bare = text.rstrip(_RAISED)
    marks = latex(text[len(bare) :])
    return flowing(bare) + (rf"\textsuperscript{{{marks}}}" if marks else "")


def _row(table: PaperTable, row: Row, layout: Layout, columns: Sequence[int]) -> str:
    name, cells = row
    shown = [cells[column] for column in columns]
    formats = [number_format([other[column] for _, other in table.rows]) for column in columns]
    values = [_value(cell, *own) for cell, own in zip(shown, formats, strict=True)]
    # A row that begins with a bracket or an asterisk would be read as the option of the line break before it.
    first = "{}" + _first(name, layout)
    if not layout.stacked:
        pairs = [f"{value} & {_beside(cell, layout)}" for value, cell in zip(values, shown, strict=True)]
        return f"{first} & {' & '.join(pairs)} \\\\\n"
    if not any(cell.interval or cell.marks for cell in shown):
        return f"{first} & {' & '.join(values)} \\\\[1.5pt]\n"
    below = [rf"\multicolumn{{1}}{{c}}{{{_beside(cell, layout)}}}" for cell in shown]
    return f"{first} & {' & '.join(values)} \\\\*\n & {' & '.join(below)} \\\\[1.5pt]\n"


def _first(name: str, layout: Layout) -> str:
    """A name; one of two lines above an interval takes the height of one, so that both share the second line."""
    if layout.stacked and layout.names and layout.names < width(name, layout.size) < 1.8 * layout.names:
        return rf"\smash{{\parbox[t]{{{layout.names:.1f}pt}}{{\raggedright {_marked(name)}}}}}"
    return _marked(name)


def _value(cell: Cell, sign: bool, whole: int, decimals: int) -> str:
    """The number for a column of siunitx; what is underlined is padded to the column's format by hand."""
    if not cell.value:
        return f"{{{latex(cell.absent)}}}"
    if cell.set_off == "best":
        return rf"\bfseries {cell.value}"
    if cell.set_off == "second":
        return _underlined(cell.value, sign, whole, decimals)
    return cell.value


def _underlined(value: str, sign: bool, whole: int, decimals: int) -> str:
    is_negative = value.startswith("-")
    digits, _, places = value.lstrip("-").partition(".")
    before = r"\phantom{$-$}" * (sign and not is_negative) + _phantom("0" * (whole - len(digits)))
    behind = _phantom("." * (not places and decimals > 0) + "0" * (decimals - len(places)))
    return rf"{{{before}\underline{{{'$-$' * is_negative}{value.lstrip('-')}}}{behind}}}"


def _phantom(text: str) -> str:
    return rf"\phantom{{{text}}}" if text else ""


def _beside(cell: Cell, layout: Layout) -> str:
    marks = rf"\textsuperscript{{{latex(cell.marks)}}}" if cell.marks else ""
    return f"{{{_size(layout.small)}{_signed(cell.interval)}{marks}}}" if cell.interval or marks else ""


def _signed(interval: str) -> str:
    """An interval with signs as long as those of the values."""
    return latex(interval.replace("-", "−"))
