"""Text from outside (prompts, errors, names of methods) made harmless for the place where it is shown.

Rich needs no escape of its own: tables hand it `Text`, which is never read as markup.
"""

from __future__ import annotations

import re
import unicodedata

from prefbench.api import TEXT_LIMIT, plain

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "×": r"$\times$",
    "—": "---",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "|": r"\textbar{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_FORMULA = tuple("=+-@\N{MINUS SIGN}")
_SLUG = 60
"""Characters of a name of a file; most file systems allow 255 bytes."""
_ITEM = re.compile(r"^(?:[-+](?![\d.])|\d+[.)](?=\s|$))")
"""What begins a list or a rule, in front of its last character; a number is left as it is."""
_BLOCK = re.compile(r"^(?:=|:|%|\?\?\?|///)")
"""What begins a heading's rule, a definition, a directive or a block of Markdown's extensions."""


def markdown(text: object, limit: int = TEXT_LIMIT) -> str:
    """For Markdown, at any place of a line or table: no markup, no HTML, no mention, no link that makes itself.

    Example:
        >>> markdown("a|b <script>")
        'a\\\\|b &lt;script&gt;'
    """
    marked = re.sub(r"([\\`*_\[\]|~$#!{}])", r"\\\1", plain(text, limit))
    escaped = "".join(_ENTITIES.get(c, c) for c in marked)
    unlinked = re.sub("(www)[.]", r"\1&#46;", escaped.replace("://", "&#58;//"), flags=re.IGNORECASE)
    return _ITEM.sub(
        lambda m: f"{m[0][:-1]}\\{m[0][-1]}", _BLOCK.sub(lambda m: f"&#{ord(m[0][0])};{m[0][1:]}", unlinked)
    )


def latex(text: object) -> str:
    """For LaTeX text: every character with a meaning is written out."""
    return "".join(_LATEX.get(c, c) for c in plain(text))


def csv_cell(value: object) -> object:
    """For CSV: a text that a spreadsheet would run as a formula starts with an apostrophe; numbers stay numbers.

    What counts is what a spreadsheet sees: without white space, full-width signs as the plain ones.
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    is_formula = unicodedata.normalize("NFKC", text).lstrip().startswith(_FORMULA)
    return f"'{text}" if is_formula else text


def code_block(text: object) -> str:
    """A fenced Markdown block of one line that the text cannot leave."""
    line = plain(text, limit=2000)
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{line}\n{fence}"


def slug(text: str) -> str:
    """A name of a file: at most 60 small letters, digits, dots and dashes; never empty, never a path."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:_SLUG].rstrip("-.") or "run"
