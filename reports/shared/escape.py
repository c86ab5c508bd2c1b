"""Text from outside (prompts, errors, names of methods) made harmless for the place where it is shown.

Rich needs no escape of its own: tables hand it `Text`, which is never read as markup.
"""

from __future__ import annotations

import re

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
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def markdown(text: object, limit: int = TEXT_LIMIT) -> str:
    """For Markdown, in or outside a table: no markup, no HTML, no mention, no link that makes itself.

    Example:
        >>> markdown("a|b <script>")
        'a\\\\|b &lt;script&gt;'
    """
    marked = re.sub(r"([\\`*_\[\]|~$#!{}])", r"\\\1", plain(text, limit))
    escaped = "".join(_ENTITIES.get(c, c) for c in marked)
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")


def latex(text: object) -> str:
    """For LaTeX text: every character with a meaning is written out."""
    return "".join(_LATEX.get(c, c) for c in plain(text))


def csv_cell(value: object) -> object:
    """For CSV: a text that a spreadsheet would run as a formula starts with an apostrophe; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    return f"'{plain(value)}" if value.lstrip(" ").startswith(_FORMULA) else plain(value)


def code_block(text: object) -> str:
    """A fenced Markdown block of one line that the text cannot leave."""
    line = plain(text, limit=2000)
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{line}\n{fence}"


def slug(text: str) -> str:
    """A name of a file: small letters, digits, dots and dashes; never empty, never a path."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "run"
